// Searches the built book as its search field does. Each of these must find its page, or a section of it, among the first five results.
const fs = require("fs"), path = require("path");
const SOUGHT = {
  "owner rules": ["resources.html", "cookbook/apis.html"],
  ConfigMap: ["deployment.html"],
  backup: ["backup.html", "moving-data.html"],
  cursor: ["api.html"],
  preflight: ["plugins/cors.html", "cookbook/browsers.html"],
  install: ["deployment.html"],
  helm: ["deployment.html"],
  "helm install": ["deployment.html"],
  docker: ["deployment.html"],
  "docker run": ["deployment.html"],
  "debian package": ["deployment.html"],
  kubectl: ["deployment.html"],
  PodDisruptionBudget: ["deployment.html"],
  HorizontalPodAutoscaler: ["deployment.html"],
  GitOps: ["deployment.html"],
  "client IP": ["deployment.html"],
  certificates: ["tls.html", "security-model.html"],
  "Redis down": ["troubleshooting.html", "rate-limits.html"],
  "key rotation": ["security-model.html"],
  "docker compose": ["deployment.html"],
  "two replicas": ["deployment.html#two-replicas"],
  "multiple replicas": ["deployment.html#two-replicas"],
  "zero downtime": ["deployment.html#a-new-version"],
  "rolling update": ["deployment.html"],
  "lost admin token": ["troubleshooting.html#a-lost-admin-token"],
  "Let's Encrypt": ["tls.html#renewal"],
  mTLS: ["tls.html#client-certificates"],
  OIDC: ["jwt.html"],
  Keycloak: ["jwt.html"],
  "forgotten password": ["sign-in.html#what-it-does-not-do"],
  "static files": ["concepts.html#what-it-does-not-do"],
  "multi tenant": ["resources.html#owners-and-tenants"],
  pagination: ["api.html"],
  whitelist: ["protection.html#clients-by-address"],
  "dry run": ["command-line.html#check"],
  "custom plugin": ["writing-a-plugin.html"],
};

const book = process.argv[2];
const file = start => path.join(book, fs.readdirSync(book).find(name => name.startsWith(start) && name.endsWith(".js")));
global.window = { search: {} };
eval(fs.readFileSync(file("searchindex"), "utf8"));
const elasticlunr = require(path.resolve(file("elasticlunr")));
const { index: saved, doc_urls: urls, search_options: options } = window.search;
const index = elasticlunr.Index.load(saved);
let wrong = 0;
for (const [words, pages] of Object.entries(SOUGHT)) {
  const found = index.search(words, options).slice(0, 5).map(result => urls[result.ref]);
  const good = pages.some(page => found.some(url => url.startsWith(page.includes("#") ? page : page + "#")));
  wrong += !good;
  console.log(`${good ? "found" : "NOT FOUND"}: ${words}: ${found.join(", ")}`);
}
process.exit(wrong ? 1 : 0);
