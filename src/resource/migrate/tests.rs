//! Tests of the plan: every row of the table of changes.
use super::*;
use crate::resource::contract::Count;
use crate::resource::contract::Error;
use crate::resource::table::ColumnType;

fn column(name: &str, kind: ColumnType) -> Column {
    Column::plain(name, kind)
}

fn index(column: &str, unique: bool) -> Index {
    Index { columns: vec![column.into()], unique, ignore_case: false, ordered: false }
}

/// A table `users` with one text field, `email`.
fn users() -> Table {
    Table {
        name: "users".into(),
        id: ColumnType::Uuid,
        id_counts: false,
        columns: vec![column("email", ColumnType::Text)],
        indexes: Vec::new(),
    }
}

fn ours(rows: u64) -> Ours {
    Ours::new(users(), Some(demands(&["email"])), rows)
}

/// The demands of a document with these fields, none of them required.
fn demands(declared: &[&str]) -> Demands {
    Demands { declared: declared.iter().map(|name| (*name).to_owned()).collect(), ..Demands::default() }
}

fn made(ours: Ours) -> TableState {
    TableState::Ours(Box::new(ours))
}

/// Statements in short.
struct Short;

impl Dialect for Short {
    fn own_tables(&self) -> &[&str] {
        &[]
    }

    fn create_table(&self, table: &Table) -> Result<String, Error> {
        Ok(table.name.clone())
    }

    fn define(&self, column: &Column) -> Result<String, Error> {
        Ok(column.name.clone())
    }

    fn type_name(&self, kind: ColumnType) -> &'static str {
        kind.word()
    }

    fn give_key(&self, _: &str, _: &[String], _: bool) -> String {
        "give it a key".into()
    }

    fn equal(&self, _: &str, _: &Index) -> String {
        "FROM …".into()
    }

    fn fresh_version(&self) -> &'static str {
        "1"
    }

    fn create_index(&self, _: &str, _: &Index) -> String {
        "CREATE …".into()
    }

    fn rename_column(&self, _: &str, from: &str, to: &str) -> String {
        format!("RENAME {from} TO {to}")
    }

    fn fill(&self, _: &str, column: &Column) -> String {
        format!("FILL {}", column.name)
    }

    fn find_equal(&self, _: &str, _: &Index) -> String {
        "SELECT …".into()
    }
}

fn one(wanted: &Table, state: TableState) -> Result<Vec<Step>, Vec<RefusedTable>> {
    plan(std::slice::from_ref(wanted), |_| Some(state.clone()), &Short, &By::default())
}

fn refusal(wanted: &Table, state: TableState) -> RefusedTable {
    one(wanted, state).unwrap_err().remove(0)
}

#[test]
fn a_new_table_is_created_and_recorded() {
    let steps = one(&users(), TableState::Absent).unwrap();
    assert_eq!(steps, [Step::Create(users()), Step::Record(users(), demands(&["email"]))]);
}

#[test]
fn a_plan_for_what_is_there_is_empty() {
    assert_eq!(one(&users(), made(ours(5))), Ok(Vec::new()));
}

#[test]
fn a_field_is_added_when_old_items_can_do_without_it() {
    let mut wanted = users();
    wanted.columns.push(column("note", ColumnType::Text));
    wanted.columns.push(Column { default: Some("'user'".into()), required: true, ..column("role", ColumnType::Text) });
    let steps = one(&wanted, made(ours(5))).unwrap();
    let add = |number: usize| Step::AddColumn { table: "users".into(), column: wanted.columns[number].clone() };
    let demands = Demands { required: vec!["role".into()], ..demands(&["email", "note", "role"]) };
    assert_eq!(steps, [add(1), add(2), Step::Record(wanted.clone(), demands)]);
}

#[test]
fn a_required_field_without_default_is_added_to_an_empty_table_alone() {
    let mut wanted = users();
    wanted.columns.push(Column { required: true, ..column("name", ColumnType::Text) });
    assert_eq!(one(&wanted, made(ours(0))).unwrap().len(), 2);
    let refused = refusal(&wanted, made(ours(1)));
    assert_eq!(refused.column.as_deref(), Some("name"));
    assert_eq!(refused.help, "add a constant `default` or `nullable: true` to `name`");
    // All items would have the same default.
    wanted.indexes.push(index("name", true));
    assert_eq!(refusal(&wanted, made(ours(1))).help, "add `nullable: true` to `name`");
}

#[test]
fn a_rule_or_a_default_of_a_field_is_no_change_of_the_table() {
    let mut wanted = users();
    wanted.columns[0].required = true;
    wanted.columns[0].default = Some("'x'".into());
    assert!(matches!(one(&wanted, made(ours(5))).unwrap()[..], [Step::Record(..)]));
}

#[test]
fn a_field_is_required_when_all_items_have_it_or_it_was_required_before() {
    let mut wanted = users();
    wanted.columns[0].required = true;
    let mut with_nulls = ours(5);
    with_nulls.nulls.push("email".into());
    let refused = refusal(&wanted, made(with_nulls.clone()));
    assert_eq!(refused.message, "`email` is required, but some items in table `users` do not have it");
    assert!(refused.help.ends_with("then reload: FILL email"), "{refused:?}");
    with_nulls.demands = Some(Demands { loosened: vec!["email".into()], ..demands(&["email"]) });
    assert!(one(&wanted, made(with_nulls)).is_ok());
}

#[test]
fn a_required_field_is_taken_out_in_two_steps() {
    let mut required = ours(5);
    let email = || vec!["email".into()];
    required.demands = Some(Demands { required: email(), pinned: email(), ..demands(&["email"]) });
    let mut without = users();
    without.columns.clear();
    let refused = refusal(&without, made(required.clone()));
    assert_eq!(refused.help, "set `nullable: true` on `email` and reload, then remove it");
    let steps = one(&users(), made(required.clone())).unwrap();
    let [Step::Record(shape, demands)] = &steps[..] else { panic!("{steps:?}") };
    let optional = Ours::new(shape.clone(), Some(demands.clone()), 5);
    let steps = one(&without, made(optional)).unwrap();
    let [Step::Record(shape, demands)] = &steps[..] else { panic!("{steps:?}") };
    // It comes back the same way.
    let mut again = users();
    again.columns[0].required = true;
    let gone = Ours::new(shape.clone(), Some(demands.clone()), 5);
    assert!(refusal(&again, made(gone.clone())).message.contains("some items may not have it"));
    let steps = one(&users(), made(gone)).unwrap();
    let [Step::Record(shape, demands)] = &steps[..] else { panic!("{steps:?}") };
    let back = Ours { nulls: email(), ..Ours::new(shape.clone(), Some(demands.clone()), 5) };
    assert!(refusal(&again, made(back)).help.ends_with("FILL email"));
    // Rows made without it have what the column was made with.
    required.recorded.columns[0].default = Some("'x'".into());
    assert!(one(&without, made(required)).is_ok());
}

#[test]
fn hashes_do_not_become_text() {
    let mut with_password = ours(5);
    with_password.recorded.columns[0].kind = ColumnType::Password;
    assert!(refusal(&users(), made(with_password)).message.contains("has password values"));
    let mut wanted = users();
    wanted.columns[0].kind = ColumnType::Password;
    assert!(one(&wanted, made(ours(5))).is_err());
    // Before there were demands in a record, passwords were recorded as text.
    let unclear = Ours { demands: None, ..ours(5) };
    assert!(one(&wanted, made(unclear)).is_ok());
}

#[test]
fn a_plain_index_is_built_unless_the_table_is_large() {
    let mut wanted = users();
    wanted.indexes.push(index("email", false));
    let steps = one(&wanted, made(ours(MANY_ROWS))).unwrap();
    assert!(matches!(steps[..], [Step::CreateIndex { .. }, Step::Record(..)]));
    let refused = refusal(&wanted, made(ours(MANY_ROWS + 1)));
    assert_eq!(refused.help, "run this on the database, then reload: CREATE …;");
}

#[test]
fn a_unique_index_is_built_when_nothing_is_equal() {
    let mut wanted = users();
    wanted.indexes.push(index("email", true));
    assert_eq!(one(&wanted, made(ours(5))).unwrap().len(), 2);
    let equal = Ours { equal: vec![(index("email", true), Vec::new())], ..ours(5) };
    let refused = refusal(&wanted, made(equal));
    assert_eq!(refused.column.as_deref(), Some("email"));
    assert_eq!(refused.help, "remove the duplicates, then reload; to find them: SELECT …;");
    assert!(one(&wanted, made(ours(MANY_ROWS + 1))).is_err());

    let mut with_field = users();
    with_field.columns.push(column("nick", ColumnType::Text));
    with_field.indexes.push(index("nick", true));
    assert_eq!(one(&with_field, made(ours(5))).unwrap().len(), 3);
    with_field.columns[1].default = Some("'x'".into());
    assert!(one(&with_field, made(ours(5))).is_err());
}

#[test]
fn an_index_made_by_hand_is_taken_over() {
    let mut wanted = users();
    wanted.indexes.push(index("email", true));
    let mut ours = ours(MANY_ROWS + 1);
    ours.made.push(index("email", true));
    assert_eq!(one(&wanted, made(ours)), Ok(vec![Step::Record(wanted, demands(&["email"]))]));
}

#[test]
fn a_plain_index_that_is_no_longer_declared_stays_unless_it_was_dropped_by_hand() {
    let mut ours = ours(MANY_ROWS + 1);
    ours.recorded.indexes.push(index("email", false));
    assert_eq!(one(&users(), made(ours.clone())), Ok(Vec::new()));
    ours.missing.push(index("email", false));
    assert_eq!(one(&users(), made(ours)), Ok(vec![Step::Record(users(), demands(&["email"]))]));
}

#[test]
fn a_unique_rule_that_left_comes_back_whatever_was_written_meanwhile() {
    let unique = index("email", true);
    let mut with_rule = users();
    with_rule.indexes.push(unique.clone());
    let there = Ours { recorded: with_rule.clone(), ..ours(MANY_ROWS + 1) };
    let steps = one(&users(), made(there)).unwrap();
    let [Step::DropIndex { .. }, Step::Record(shape, demands)] = &steps[..] else { panic!("{steps:?}") };
    assert_eq!(demands.released, std::slice::from_ref(&unique));
    let mut loose = Ours::new(shape.clone(), Some(demands.clone()), MANY_ROWS + 1);
    let steps = one(&with_rule, made(loose.clone())).unwrap();
    assert!(matches!(steps[..], [Step::CreateIndex { .. }, Step::Record(..)]), "{steps:?}");
    loose.equal.push((unique.clone(), Vec::new()));
    let steps = one(&with_rule, made(loose)).unwrap();
    let [Step::GuardIndex { .. }, Step::Record(shape, demands)] = &steps[..] else { panic!("{steps:?}") };
    assert_eq!(demands.guarded, std::slice::from_ref(&unique));
    // Once nothing is equal any more, it is an index again.
    let guarded = Ours::new(shape.clone(), Some(demands.clone()), 5);
    assert_eq!(one(&with_rule, made(Ours { equal: vec![(unique, Vec::new())], ..guarded.clone() })), Ok(Vec::new()));
    let steps = one(&with_rule, made(guarded)).unwrap();
    assert!(matches!(steps[..], [Step::DropIndex { .. }, Step::CreateIndex { .. }, Step::Record(..)]), "{steps:?}");
}

#[test]
fn a_unique_index_stays_while_its_field_is_not_declared() {
    let mut recorded = users();
    recorded.indexes.push(index("email", true));
    let mut without = users();
    without.columns.clear();
    let plan = |recorded: &Table| {
        let demands = Some(demands(&[]));
        one(&without, made(Ours { recorded: recorded.clone(), demands, ..ours(5) }))
    };
    assert_eq!(plan(&recorded), Ok(Vec::new()));
    // Rows made meanwhile would all have the default.
    recorded.columns[0].default = Some("'x'".into());
    assert!(matches!(plan(&recorded).unwrap()[..], [Step::DropIndex { .. }, Step::Record(..)]));
}

#[test]
fn another_type_is_refused() {
    let mut wanted = users();
    wanted.columns[0].kind = ColumnType::Integer;
    let refused = refusal(&wanted, made(ours(0)));
    assert_eq!(refused.message, "`email` has text values in table `users` and cannot become integer");
}

#[test]
fn another_id_is_refused() {
    let mut wanted = users();
    wanted.id = ColumnType::Integer;
    wanted.id_counts = true;
    assert_eq!(refusal(&wanted, made(ours(0))).column.as_deref(), Some("id"));
}

#[test]
fn a_field_that_leaves_keeps_its_column_and_comes_back_with_its_type_alone() {
    let mut wanted = users();
    wanted.columns.clear();
    assert_eq!(one(&wanted, made(ours(5))), Ok(vec![Step::Record(users(), demands(&[]))]));
    // The record still has the column, so it is as if it had never left.
    assert_eq!(one(&users(), made(ours(5))), Ok(Vec::new()));
    let mut other = users();
    other.columns[0].kind = ColumnType::Date;
    assert!(one(&other, made(ours(5))).is_err());
}

#[test]
fn what_is_not_ours_or_not_as_we_left_it_is_refused() {
    assert!(refusal(&users(), TableState::Foreign).message.contains("was not created by gatewright"));
    assert!(refusal(&users(), TableState::Newer("9.0".into())).message.contains("gatewright 9.0"));
    let mut drifted = ours(0);
    drifted.drift = vec![Drift::new("the column `x` was added".into())];
    assert!(refusal(&users(), made(drifted)).message.ends_with("the column `x` was added"));
}

#[test]
fn all_refusals_are_told_and_no_step_is_left_beside_them() {
    let mut other = users();
    other.name = "other".into();
    let refused = plan(&[users(), other, users()], |_| Some(TableState::Foreign), &Short, &By::default()).unwrap_err();
    assert_eq!(refused.len(), 3);
    assert!(refused[2].message.contains("two resources use the table"));
}

#[test]
fn a_column_that_was_renamed_in_the_database_is_followed_if_the_document_has_its_new_name() {
    let mut wanted = users();
    wanted.columns[0].name = "address".into();
    wanted.indexes.push(index("address", true));
    let mut before = ours(5);
    before.recorded.indexes.push(index("email", true));
    let follow = |found: &[&str], wanted: &Table| {
        let mut ours = before.clone();
        ours.follow_renames(&found.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>(), wanted);
        ours
    };
    let followed = follow(&["address"], &wanted);
    assert_eq!(followed.recorded, wanted);
    let drop = Step::DropIndex { table: "users".into(), index: index("email", true) };
    let create = Step::CreateIndex { table: "users".into(), index: index("address", true) };
    assert_eq!(
        one(&wanted, made(followed)),
        Ok(vec![drop, create, Step::Record(wanted.clone(), demands(&["address"]))])
    );
    // The old name in the document, another name in the database, or one column more: nothing is assumed.
    for (found, wanted) in [(&["address"][..], &users()), (&["other"], &wanted), (&["address", "more"], &wanted)] {
        assert_eq!(follow(found, wanted), before, "{found:?}");
    }
}

#[test]
fn every_statement_that_may_be_the_rename_is_shown() {
    let mut before = ours(5);
    before.recorded.columns.push(column("mail", ColumnType::Text));
    before.recorded.columns.push(column("age", ColumnType::Integer));
    let hidden = |name: &str, found| HiddenColumn {
        table: "users".into(),
        column: name.into(),
        values: Count { found, complete: true },
        heirs: Vec::new(),
        refers_to: None,
        version: "random()",
    };
    before.hidden = vec![hidden("email", 5), hidden("mail", 1), hidden("age", 5)];
    let mut wanted = users();
    wanted.columns[0] = Column { required: true, ..column("address", ColumnType::Text) };
    let refused = refusal(&wanted, made(before.clone()));
    assert!(refused.message.ends_with("`email`, which has 5 values, and `mail`, which has 1 value"), "{refused:?}");
    for part in [
        "if `address` is `email` or `mail` with a new name: write `nullable: true` at `address`, because some items have no value; ",
        "write `renamed_from: email` or `renamed_from: mail` at `address`, or stop the gateway, run this",
        "RENAME email TO address; or RENAME mail TO address; otherwise add a constant `default` or `nullable: true` to `address`",
    ] {
        assert!(refused.help.contains(part), "{refused:?}");
    }
    // Otherwise the next reload would be rejected for the old field.
    let pinned = Demands { pinned: vec!["mail".into()], ..demands(&["email", "mail", "age"]) };
    let stuck = refusal(&wanted, made(Ours { demands: Some(pinned), ..before.clone() }));
    assert!(stuck.help.ends_with("to `address`, and keep `mail` with `nullable: true` for one reload"), "{stuck:?}");
    // A column of another type is not the same field.
    before.hidden.drain(..2);
    assert_eq!(refusal(&wanted, made(before)).help, "add a constant `default` or `nullable: true` to `address`");
}
