// The one line to change in each reverse proxy, for everything that a proxy can get wrong.
import type { ProxyLines } from "./finding.ts";

export const TO_ROOST: ProxyLines = {
  nginx: "location / { proxy_pass http://127.0.0.1:3005; }",
  Caddy: "reverse_proxy 127.0.0.1:3005",
  Traefik: "traefik.http.services.roost.loadbalancer.server.port=3005",
  cloudflared: "service: http://127.0.0.1:3005",
};

export const UPGRADE: ProxyLines = {
  nginx:
    'proxy_http_version 1.1; proxy_set_header Upgrade $http_upgrade; proxy_set_header Connection "upgrade";',
  Caddy:
    "reverse_proxy 127.0.0.1:3005   (upgrades by itself: remove header_up lines for Connection or Upgrade)",
  Traefik: "remove the headers middleware that sets Connection or Upgrade; Traefik upgrades by itself",
  cloudflared: "service: http://127.0.0.1:3005   (and Network > WebSockets must be on for the zone)",
};

export const LONG_LIVED: ProxyLines = {
  nginx: "proxy_read_timeout 3600s; proxy_send_timeout 3600s;",
  Caddy: "stream_timeout 0   (in reverse_proxy; or remove that line)",
  Traefik: "--entryPoints.websecure.transport.respondingTimeouts.readTimeout=0",
  cloudflared: "originRequest: { tcpKeepAlive: 30s }",
};

export const LARGE_BODY: ProxyLines = {
  nginx: "client_max_body_size 100m;",
  Caddy: "request_body { max_size 100MB }",
  Traefik: "traefik.http.middlewares.NAME.buffering.maxRequestBodyBytes=104857600",
  cloudflared: "remove the WAF rule that limits bodies; Cloudflare itself takes 100 MB",
};

export const WHOLE_PATH: ProxyLines = {
  nginx:
    "location / { proxy_pass http://127.0.0.1:3005; }   (one location, no path after the port, no rewrite)",
  Caddy: "reverse_proxy 127.0.0.1:3005   (without handle_path, uri or redir for these paths)",
  Traefik:
    "traefik.http.routers.roost.rule=Host(`NAME`)   (no PathPrefix; --entryPoints.websecure.http.sanitizePath=false)",
  cloudflared: "service: http://127.0.0.1:3005   (without path:, and no redirect rule for the zone)",
};

export const OWN_CORS: ProxyLines = {
  nginx: "remove add_header Access-Control-...; Roost sends these headers itself",
  Caddy: "remove header Access-Control-...; Roost sends these headers itself",
  Traefik: "remove the accesscontrol... options of the headers middleware; Roost sends these headers itself",
  cloudflared: "remove the Transform Rule for Access-Control headers; Roost sends them itself",
};

export const FULL_CHAIN: ProxyLines = {
  nginx: "ssl_certificate /etc/letsencrypt/live/NAME/fullchain.pem;",
  Caddy: "NAME { reverse_proxy 127.0.0.1:3005 }   (without tls internal: Caddy gets a certificate by itself)",
  Traefik: "traefik.http.routers.roost.tls.certresolver=letsencrypt",
  cloudflared: "hostname: NAME   (the certificate is Cloudflare's; the zone's SSL mode must not be Off)",
};

export const HTTPS: ProxyLines = {
  nginx: "listen 443 ssl;   (with ssl_certificate and ssl_certificate_key)",
  Caddy: "NAME { reverse_proxy 127.0.0.1:3005 }",
  Traefik: "traefik.http.routers.roost.entrypoints=websecure",
  cloudflared: "cloudflared tunnel --url http://127.0.0.1:3005",
};
