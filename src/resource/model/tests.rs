//! Declarations that cannot be intended, and the faults they get.
use super::sharing::conflicts;
use super::*;

const SQLITE: Dialect = Dialect::Sqlite;

const TITLE: &str = "title: {type: string, required: true, max: 200}";

fn read(yaml: &str) -> Resource {
    serde_yaml::from_str(&format!("store: main\n{yaml}")).unwrap_or_else(|error| panic!("{error}: {yaml}"))
}

fn faults(yaml: &str) -> Vec<Fault> {
    alone("things", &read(yaml), SQLITE, false).err().unwrap_or_default()
}

fn of_field(field: &str) -> Vec<Fault> {
    faults(&format!("access: {{default: public}}\nfields:\n  {TITLE}\n  {field}"))
}

fn of_resource(keys: &str) -> Vec<Fault> {
    faults(&format!("{keys}\nfields:\n  {TITLE}"))
}

/// Exactly one fault, at `path`, whose message holds `words`.
#[track_caller]
fn one(faults: &[Fault], path: &str, words: &str) {
    assert_eq!(faults.len(), 1, "{faults:?}");
    assert_eq!(faults[0].path, path, "{faults:?}");
    assert!(faults[0].message.contains(words), "{:?}", faults[0]);
}

#[test]
fn names_of_fields_are_few_letters_and_no_words_of_ours() {
    for name in ["\"na\\\"me\"", "\"a; DROP TABLE users\"", "\"\"", "_version", "Title", "ünicode", "1st", "a-b"] {
        let found = of_field(&format!("{name}: {{type: string}}"));
        assert_eq!(found.len(), 1, "{name}: {found:?}");
        assert!(found[0].message.contains("not a valid field name"), "{found:?}");
    }
    one(
        &of_field(&format!("{}: {{type: string}}", "a".repeat(49))),
        &format!("fields.{}", "a".repeat(49)),
        "not a valid",
    );
    for name in ["rowid", "oid", "id", "xmin", "xmax", "cmin", "cmax", "ctid", "tableoid"] {
        one(&of_field(&format!("{name}: {{type: string}}")), &format!("fields.{name}"), "reserved by the store");
    }
    // A table of SQLite may have it from an earlier version.
    assert_eq!(of_field("a: {type: string, renamed_from: xmin}"), []);
    for name in ["page", "per_page", "cursor", "sort", "fields", "filter", "count", "expand"] {
        one(&of_field(&format!("{name}: {{type: integer}}")), &format!("fields.{name}"), "query parameter");
    }
    assert_eq!(of_field("select: {type: string}"), [], "a word of SQL is a name like any other");
}

#[test]
fn patterns_are_compiled_within_bounds() {
    one(&of_field("a: {type: string, pattern: \"(a{1000}){1000}\"}"), "fields.a.pattern", "too large");
    one(&of_field("a: {type: string, pattern: \"(a)\\\\1\"}"), "fields.a.pattern", "not a valid regular expression");
    one(&of_field(&format!("a: {{type: string, pattern: \"{}\"}}", "a".repeat(513))), "fields.a.pattern", "512");
    one(&of_field("a: {type: integer, pattern: x}"), "fields.a.pattern", "only with text");
}

#[test]
fn keys_fit_the_type() {
    for (field, key) in [
        ("type: boolean, min: 1", "min"),
        ("type: enum, values: [x], max: 1", "max"),
        ("type: integer, min: 0.5", "min"),
        ("type: string, min: -1", "min"),
        ("type: string, values: [a]", "values"),
        ("type: string, schema: {}", "schema"),
        ("type: integer, precision: 3", "precision"),
        ("type: integer, trim: true", "trim"),
        ("type: string, min: 5, max: 3", "min"),
        ("type: decimal, precision: 3, scale: 4", "scale"),
        ("type: json, schema: {type: 5}", "schema"),
        ("type: json, schema: {$ref: \"https://example.com/x\"}", "schema"),
        ("type: json, sort: true", "sort"),
        ("type: text, sort: true", "sort"),
        ("type: integer, filter: [prefix]", "filter[0]"),
        ("type: boolean, filter: [eq, gt]", "filter[1]"),
        ("type: enum", "values"),
        ("type: enum, values: []", "values"),
        ("type: enum, values: [x, x]", "values[1]"),
        ("type: string, accept_on: []", "accept_on"),
        ("type: string, set: $claims.sub, accept_on: [create], write_only: false", "accept_on"),
        ("type: datetime, set: sometimes", "set"),
        ("type: string, set: on_create", "set"),
        ("type: integer, unique: {ignore_case: true}", "unique.ignore_case"),
        ("type: string, unique: {with: [nope]}", "unique.with[0]"),
    ] {
        let yaml = format!("access: {{default: authenticated}}\nfields:\n  {TITLE}\n  a: {{{field}}}");
        one(&faults(&yaml), &format!("fields.a.{key}"), "");
    }
    one(&of_field("a: {type: ref}"), "fields.a", "requires `to`");
}

#[test]
fn defaults_keep_the_rules_of_their_field() {
    for field in [
        "type: integer, default: x",
        "type: string, min: 3, default: x",
        "type: enum, values: [x], default: y",
        "type: datetime, default: yesterday",
        "type: boolean, default: 1",
        "type: password, default: hunter2hunter2",
    ] {
        one(&of_field(&format!("a: {{{field}}}")), "fields.a.default", "");
    }
    assert_eq!(of_field("a: {type: datetime, default: now}"), []);
    assert_eq!(of_field("a: {type: uuid, default: uuid}"), []);
}

#[test]
fn a_field_that_must_not_be_null_has_a_value_from_the_first_day() {
    for (field, key) in [
        ("type: string, nullable: false", "nullable"),
        ("type: string, nullable: false, accept_on: [update]", "nullable"),
        ("type: string, nullable: false, read_only: true", "nullable"),
        ("type: string, nullable: false, hidden: true", "nullable"),
        ("type: string, required: true, accept_on: [update]", "required"),
    ] {
        one(&of_field(&format!("a: {{{field}}}")), &format!("fields.a.{key}"), "created without it would be null");
    }
    for good in [
        "type: string, nullable: false, default: x",
        "type: string, nullable: false, default: x, accept_on: [update]",
        "type: datetime, nullable: false, set: on_write",
        "type: string, nullable: false, required: true",
        "type: string, nullable: true, accept_on: [update]",
    ] {
        assert_eq!(of_field(&format!("a: {{{good}}}")), [], "{good}");
    }
}

#[test]
fn what_clients_cannot_see_cannot_be_asked_for() {
    for field in ["type: password", "type: string, write_only: true", "type: string, hidden: true"] {
        one(&of_field(&format!("a: {{{field}, filter: [eq]}}")), "fields.a.filter", "would reveal it");
        let found = of_field(&format!("a: {{{field}, sort: true}}"));
        assert!(found.iter().any(|fault| fault.path == "fields.a.sort"), "{found:?}");
    }
}

#[test]
fn what_a_field_cannot_be_is_refused_and_not_ignored() {
    for (field, key) in [
        ("type: password, hidden: false", "hidden"),
        ("type: password, write_only: false", "write_only"),
        ("type: password, hidden: true", "hidden"),
        ("type: password, read_only: true", "read_only"),
        ("type: string, set: $claims.sub, read_only: false", "read_only"),
    ] {
        let yaml = format!("access: {{default: authenticated}}\nfields:\n  {TITLE}\n  a: {{{field}}}");
        one(&faults(&yaml), &format!("fields.a.{key}"), &format!("`{key}"));
    }
    for field in
        ["type: password, write_only: true", "type: string, hidden: false, write_only: false, read_only: false"]
    {
        assert_eq!(of_field(&format!("a: {{{field}}}")), []);
    }
}

#[test]
fn access_is_said_for_every_operation() {
    one(&of_resource("access: {read: public}\noperations: [list, read]"), "access", "who may list");
    one(&of_resource("access: {}"), "access", "who may list, read, create, update, delete");
    one(
        &of_resource("access: {default: public, read: {where: {owner: $claims.sub}}}"),
        "access.read.where.owner",
        "owner",
    );
    one(
        &of_resource("access: {default: public, read: {where: {title: {liek: x}}}}"),
        "access.read.where.title.liek",
        "liek",
    );
    one(&of_resource("access: {default: public, read: {role: \"\"}}"), "access.read.role", "empty name");
    one(&of_resource("access: {default: public, read: {role: []}}"), "access.read.role", "empty name");
    one(&of_resource("access: {default: public, read: {}}"), "access.read", "empty");
    one(&of_resource("access: {default: public, read: {where: {title: 5}}}"), "access.read.where.title", "type");
    one(&of_resource("access: {default: {role: \"\"}}"), "access.default.role", "empty name");
}

/// Faults of a rule on a field `a`.
fn of_rule(field: &str, rule: &str) -> Vec<Fault> {
    faults(&format!(
        "access: {{default: authenticated, read: {{where: {{a: {rule}}}}}}}\nfields:\n  {TITLE}\n  a: {{{field}}}"
    ))
}

#[test]
fn rules_know_the_operators_that_filters_know() {
    for field in [
        "type: string",
        "type: text",
        "type: email",
        "type: uuid",
        "type: url",
        "type: integer",
        "type: number",
        "type: decimal, precision: 12, scale: 2",
        "type: boolean",
        "type: datetime",
        "type: date",
        "type: enum, values: [x]",
        "type: json",
    ] {
        for operator in crate::resource::operator::OPERATORS.map(crate::resource::operator::operator_word) {
            let filter = of_field(&format!("a: {{{field}, filter: [\"{operator}\"]}}"));
            let value = if operator == "null" { "true" } else { "$claims.x" };
            let rule = of_rule(field, &format!("{{\"{operator}\": {value}}}"));
            // Rules also judge rows in memory, where the order of decimals is not known.
            let only_filters = field.contains("decimal") && ["lt", "lte", "gt", "gte"].contains(&operator);
            assert_eq!(filter.is_empty(), rule.is_empty() || only_filters, "{field} {operator}: {filter:?} {rule:?}");
            if let [fault] = &*rule {
                assert_eq!(fault.path, format!("access.read.where.a.{operator}"));
                assert!(fault.message.contains("is not supported for") && fault.help.is_some(), "{fault:?}");
            }
        }
    }
    let money = "type: decimal, precision: 12, scale: 2";
    one(&of_rule(money, "{lt: \"200.00\"}"), "access.read.where.a.lt", "`lt` is not supported");
    one(&of_rule("type: password", "x"), "access.read.where.a", "password");
}

#[test]
fn values_of_rules_are_values_of_the_field() {
    let path = "access.read.where.a";
    for (field, good, bad) in [
        ("type: string", "\"7\"", "7"),
        ("type: integer", "7", "\"7\""),
        ("type: integer", "-7", "7.5"),
        ("type: number", "7.5", "\"7.5\""),
        ("type: decimal, precision: 12, scale: 2", "\"200\"", "200"),
        ("type: decimal, precision: 12, scale: 2", "\"200\"", "\"0.001\""),
        ("type: boolean", "true", "\"true\""),
        ("type: datetime", "\"2026-02-03T00:00:00Z\"", "yesterday"),
        ("type: date", "\"2026-02-03\"", "\"2026-02-30\""),
        ("type: uuid", "0191B3F0-0000-7000-8000-000000000000", "ann"),
        ("type: email", "a@x.com", "ann"),
        ("type: enum, values: [x]", "x", "y"),
        ("type: string", "{in: [a, b]}", "{in: []}"),
        ("type: integer", "{in: [1, 2]}", "{in: [1, b]}"),
        ("type: string", "{\"null\": true}", "{\"null\": 1}"),
        ("type: string", "{\"null\": false}", "{\"null\": $claims.x}"),
        ("type: email", "{prefix: \"a@\"}", "{prefix: \"\"}"),
        ("type: string", "{contains: b}", "{contains: 5}"),
        ("type: string", "$claims.x", "\"$claims.\""),
        ("type: string", "$claims.x", "$claim.x"),
        ("type: string", "{in: $claims.x}", "$claims"),
        ("type: string", "{eq: x}", "{}"),
        ("type: string", "{ne: x}", "null"),
    ] {
        assert_eq!(of_rule(field, good), [], "{field} {good}");
        let found = of_rule(field, bad);
        assert!(matches!(&*found, [fault] if fault.path.starts_with(path) && fault.help.is_some()), "{bad}: {found:?}");
    }
}

#[test]
fn a_rule_that_no_create_can_fulfil_is_a_fault() {
    for kind in ["uuid", "integer"] {
        let access = "access: {default: authenticated, create: {any: [{role: admin}, {where: {id: $claims.sub}}]}}";
        one(
            &of_resource(&format!("id: {{type: {kind}}}\n{access}")),
            "access.create.any[1].where.id",
            "the server generates",
        );
    }
    let access = "access: {default: {where: {id: $claims.sub}}}";
    assert_eq!(of_resource(access), [], "a default is for what it fits");
    assert_eq!(of_resource(&format!("id: {{type: string}}\n{access}")), []);
}

#[test]
fn what_an_update_may_leave_is_a_rule_for_updates() {
    let access = "access: {default: authenticated, update_check:";
    one(&of_resource(&format!("{access} none}}")), "access.update_check", "every update");
    one(
        &of_resource(&format!("{access} public}}\noperations: [read]")),
        "access.update_check",
        "without the operation",
    );
    one(&of_resource(&format!("{access} {{where: {{title: 5}}}}}}")), "access.update_check.where.title", "type");
    assert_eq!(of_resource(&format!("{access} {{where: {{title: $claims.sub}}}}}}")), []);
}

#[test]
fn claims_need_somebody_who_has_them() {
    for key in ["set", "default"] {
        let field = format!("a: {{type: string, {key}: $claims.sub}}");
        one(&of_field(&field), &format!("fields.a.{key}"), "create` is public");
        let guarded = format!("access: {{default: public, create: authenticated}}\nfields:\n  {TITLE}\n  {field}");
        assert_eq!(faults(&guarded), []);
    }
}

#[test]
fn a_claim_that_is_a_time_goes_where_a_time_is_a_value() {
    let given =
        |field: &str| faults(&format!("access: {{default: authenticated}}\nfields:\n  {TITLE}\n  a: {{{field}}}"));
    let compared = |field: &str, access: &str| {
        faults(&format!("access: {{default: {{where: {{{access}}}}}}}\nfields:\n  {TITLE}\n  a: {{{field}}}"))
    };
    for claim in ["exp", "nbf", "iat", "auth_time"] {
        for kind in ["string", "text", "email", "uuid", "url", "boolean", "date", "enum, values: [x]"] {
            let words = format!("`{claim}` is a time");
            one(&given(&format!("type: {kind}, set: $claims.{claim}")), "fields.a.set", &words);
            one(&given(&format!("type: {kind}, default: $claims.{claim}")), "fields.a.default", &words);
            one(&compared(&format!("type: {kind}"), &format!("a: $claims.{claim}")), "access.default.where.a", &words);
        }
        for kind in ["datetime", "integer", "number", "decimal"] {
            assert_eq!(given(&format!("type: {kind}, set: $claims.{claim}")), [], "{kind}");
            assert_eq!(compared(&format!("type: {kind}"), &format!("a: $claims.{claim}")), [], "{kind}");
        }
        assert_eq!(given(&format!("type: json, set: $claims.{claim}")), []);
    }
    one(&compared("type: date", "id: $claims.exp"), "access.default.where.id", "of type uuid");
    assert_eq!(given("type: string, set: $claims.updated_at"), [], "some issuers write it as text");
    assert_eq!(given("type: date, set: $claims.birthdate"), []);
}

#[test]
fn settings_name_what_exists() {
    one(&of_resource("access: {default: public}\nid: {type: uuid, generate: auto}"), "id.generate", "generate");
    one(&of_resource("access: {default: public}\nid: {type: string, generate: v7}"), "id.generate", "generate");
    one(&of_resource("access: {default: public}\ntable: _gw_schema"), "table", "table");
    one(&of_resource("access: {default: public}\ntable: sqlite_x"), "table", "reserves");
    one(&of_resource(&format!("access: {{default: public}}\ntable: {}", "a".repeat(49))), "table", "table");
    one(&of_resource("access: {default: public}\nsort: -nope"), "sort", "nope");
    one(&of_resource("access: {default: public}\nsort: title"), "sort", "not sortable");
    one(
        &of_resource("access: {default: public}\npagination: {per_page: 200, max_per_page: 100}"),
        "pagination.per_page",
        "per_page",
    );
    one(&of_resource("access: {default: public}\nindexes: [[nope]]"), "indexes[0][0]", "nope");
    one(&of_resource("access: {default: public}\nindexes: [[title], [title]]"), "indexes[1]", "twice");
    one(&of_resource("access: {default: public}\nbody_limit: 0B"), "body_limit", "body_limit");
    one(&of_resource("access: {default: public}\noperations: []"), "operations", "empty");
}

#[test]
fn every_fault_is_found() {
    let found =
        faults("access: {}\noperations: [list]\nsort: nope\nfields:\n  a: {type: enum}\n  b: {type: boolean, min: 1}");
    let paths: Vec<&str> = found.iter().map(|fault| &*fault.path).collect();
    assert_eq!(paths, ["fields.a.values", "fields.b.min", "access", "sort"]);
    assert!(found.iter().all(|fault| !fault.message.ends_with('.')));
}

#[test]
fn production_wants_public_writes_in_words() {
    let compile = |access: &str, production: bool| {
        alone("things", &read(&format!("access: {access}\nfields:\n  {TITLE}")), SQLITE, production)
    };
    let refused = compile("{default: public}", true).err().unwrap();
    assert_eq!(refused.len(), 3, "{refused:?}");
    assert!(refused[0].path == "access.default" && refused[0].message.contains("create"));
    let words = "{default: authenticated, create: public}";
    assert_eq!(compile(words, true).unwrap().warnings, [], "the word was said");
    let warnings = compile("{default: public}", false).unwrap().warnings;
    assert_eq!((warnings.len(), &*warnings[0].path), (1, "access.default"), "{warnings:?}");
    assert!(["create", "update", "delete"].iter().all(|word| warnings[0].message.contains(word)), "{warnings:?}");
    assert_eq!(compile("{default: none, create: public, delete: public}", false).unwrap().warnings, []);
    let warnings = compile("{default: public, create: none, delete: public}", false).unwrap().warnings;
    assert!(warnings.len() == 1 && warnings[0].help.as_ref().unwrap().contains("`update: public`"), "{warnings:?}");
    assert_eq!(compile("{default: authenticated, list: public, read: public}", true).unwrap().warnings, []);
}

#[test]
fn a_table_belongs_to_one_resource_of_a_database() {
    let compile = |name: &str, store: &str, table: &str| {
        let spec = format!("store: {store}\naccess: {{default: public}}\ntable: {table}\nfields: {{{TITLE}}}");
        alone(name, &serde_yaml::from_str(&spec).unwrap(), SQLITE, false).unwrap()
    };
    let first = compile("first", "main", "things");
    for (store, table, refused) in
        [("main", "things", true), ("also_main", "things", true), ("other", "things", false), ("main", "more", false)]
    {
        let second = compile("second", store, table);
        let same = |one: &str, other: &str| one.trim_start_matches("also_") == other.trim_start_matches("also_");
        let found = conflicts(&[("first", &first), ("second", &second)], same);
        assert_eq!(found.len(), usize::from(refused), "{store} {table}");
        if refused {
            assert_eq!((found[0].0, &*found[0].1.path), (1, "table"));
            assert_eq!(found[0].1.message, "table `things` is already used by resource `first`");
        }
    }
}
