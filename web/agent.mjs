// What the user agent calls itself, and its version as a semantic one.
export function userAgent() {
  const agent = navigator.userAgent;
  const found = /(Firefox|Edg|OPR|Chrome|Version)\/(\d+)(?:\.(\d+))?(?:\.(\d+))?/.exec(agent);
  const name = { Version: "Safari", Edg: "Edge", OPR: "Opera" }[found?.[1]] ?? found?.[1] ?? "unknown";
  return { name, version: [2, 3, 4].map((part) => Number(found?.[part] ?? 0)).join("."), agent };
}
