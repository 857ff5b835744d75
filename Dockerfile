# Two stages: compile, then nothing but the executable and the C library it needs. test/container.test.ts carries these very steps
# out without Docker, and holds the image to its size.
#
#   docker build --build-arg COMMIT=$(git rev-parse --short HEAD) -t roost .
#   docker run -d --name roost --restart unless-stopped -p 3005:3005 -v roost:/data roost

FROM oven/bun:1.4.5-debian AS build
WORKDIR /src
COPY package.json bun.lock bunfig.toml ./
RUN bun install --frozen-lockfile --production
COPY . .
ARG COMMIT=""
RUN bun build.ts
# The executable, the libraries it is linked to, those that look up names, and a user who is nobody else.
RUN executable=$(ls dist/roost-linux-* | grep -v '\.map$') \
 && install -D -m 755 "$executable" /image/roost \
 && ldd "$executable" | grep -o '/[^ ]*' | xargs -I {} cp --parents -L {} /image/ \
 && libraries=$(dirname "$(ldd "$executable" | grep -o '/[^ ]*libc\.so\.6')") \
 && cp --parents -L $(ls "$libraries"/libnss_dns.so.2 "$libraries"/libnss_files.so.2 "$libraries"/libresolv.so.2) /image/ \
 && mkdir -p /image/etc /owned/data && mkdir -m 1777 /image/tmp \
 && echo 'roost:x:65532:65532:roost:/data:/sbin/nologin' > /image/etc/passwd \
 && echo 'roost:x:65532:' > /image/etc/group \
 && echo 'hosts: files dns' > /image/etc/nsswitch.conf

FROM scratch
COPY --from=build /image/ /
COPY --from=build --chown=65532:65532 /owned/ /
ENV ROOST_DATA_DIR=/data
USER 65532:65532
WORKDIR /data
VOLUME /data
EXPOSE 3005
HEALTHCHECK --interval=30s --timeout=5s --start-period=5m CMD ["/roost", "health"]
ENTRYPOINT ["/roost"]
CMD ["serve"]
