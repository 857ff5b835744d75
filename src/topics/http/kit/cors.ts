// Which web pages may read answers: those of the configured origins, never with cookies (topics contract, section 6).

/** @param origins `*` among them means every origin. */
export function corsHeaders(request: Request, origins: readonly string[]): [string, string][] {
  if (origins.includes("*")) return [["access-control-allow-origin", "*"]];
  const origin = request.headers.get("origin");
  const vary: [string, string] = ["vary", "Origin"];
  return origin !== null && origins.includes(origin)
    ? [["access-control-allow-origin", origin], vary]
    : [vary];
}

export function preflight(request: Request, origins: readonly string[]): Response {
  return new Response(null, {
    status: 204,
    headers: [
      ...corsHeaders(request, origins),
      ["access-control-allow-methods", "GET, POST"],
      ["access-control-allow-headers", "authorization, content-type"],
      ["access-control-max-age", "600"],
    ],
  });
}
