// What a person does with the generated types.
import assert from "node:assert/strict";
import createClient from "openapi-fetch";
import type { components, paths } from "./api.js";

const { BASE, TOKEN } = process.env;
const api = createClient<paths>({ baseUrl: BASE ?? "", headers: { authorization: `Bearer ${TOKEN}` } });

const body: components["schemas"]["NewUser"] = { email: "grace@example.com", name: "Grace", password: "correct horse" };
const created = await api.POST("/api/users", { body });
assert.equal(created.response.status, 201);
const user = created.data!;
const path = { id: user.id };
assert.equal(created.response.headers.get("location"), `/api/users/${user.id}`);

const invalid = await api.POST("/api/users", { body: { ...body, email: "grace" } });
assert.equal(invalid.error && "error" in invalid.error ? invalid.error.details?.[0]?.field : undefined, "email");

const found = await api.GET("/api/users/{id}", { params: { path } });
assert.equal(found.data?.name, "Grace");

const query = { "filter[name][prefix]": "G", sort: ["-created_at" as const], fields: ["id" as const] };
const listed = await api.GET("/api/users", { params: { query } });
assert.deepEqual(listed.data, [{ id: user.id }]);

const changed = await api.PATCH("/api/users/{id}", {
  params: { path },
  body: { name: "Grace Hopper" },
  headers: { "if-match": found.response.headers.get("etag") ?? "" },
});
assert.equal(changed.data?.name, "Grace Hopper");

assert.equal((await api.DELETE("/api/users/{id}", { params: { path } })).response.status, 204);
assert.equal((await api.GET("/api/users/{id}", { params: { path } })).response.status, 404);
console.log("created, read, listed, changed and deleted a user");
