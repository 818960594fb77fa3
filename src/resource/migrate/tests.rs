//! Tests of the plan: every row of the table of changes.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use super::*;
use crate::resource::table::ColumnType;

fn column(name: &str, kind: ColumnType) -> Column {
    Column { name: name.into(), kind, default: None, required: false }
}

fn index(column: &str, unique: bool) -> Index {
    Index { columns: vec![column.into()], unique, ignore_case: false }
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
    Ours { recorded: users(), rows, made: Vec::new(), drift: None }
}

/// Plans one table, with the statement of an index shortened.
fn one(wanted: &Table, state: State) -> Result<Vec<Step>, Vec<Refused>> {
    plan(std::slice::from_ref(wanted), |_| Some(state.clone()), |_, _| "CREATE …".into())
}

fn refusal(wanted: &Table, state: State) -> Refused {
    one(wanted, state).unwrap_err().remove(0)
}

#[test]
fn a_new_table_is_created_and_recorded() {
    let steps = one(&users(), State::Absent).unwrap();
    assert_eq!(steps, [Step::Create(users()), Step::Record(users())]);
}

#[test]
fn a_plan_for_what_is_there_is_empty() {
    assert_eq!(one(&users(), State::Ours(ours(5))), Ok(Vec::new()));
}

#[test]
fn a_field_is_added_when_old_items_can_do_without_it() {
    let mut wanted = users();
    wanted.columns.push(column("note", ColumnType::Text));
    wanted.columns.push(Column { default: Some("'user'".into()), required: true, ..column("role", ColumnType::Text) });
    let steps = one(&wanted, State::Ours(ours(5))).unwrap();
    let add = |number: usize| Step::AddColumn { table: "users".into(), column: wanted.columns[number].clone() };
    assert_eq!(steps, [add(1), add(2), Step::Record(wanted.clone())]);
}

#[test]
fn a_required_field_without_default_is_added_to_an_empty_table_alone() {
    let mut wanted = users();
    wanted.columns.push(Column { required: true, ..column("name", ColumnType::Text) });
    assert_eq!(one(&wanted, State::Ours(ours(0))).unwrap().len(), 2);
    let refused = refusal(&wanted, State::Ours(ours(1)));
    assert_eq!(refused.column.as_deref(), Some("name"));
    assert_eq!(refused.help, "give it a default, or do not require it");
}

#[test]
fn a_rule_or_a_default_of_a_field_is_no_change_of_the_table() {
    let mut wanted = users();
    wanted.columns[0].required = true;
    wanted.columns[0].default = Some("'x'".into());
    assert_eq!(one(&wanted, State::Ours(ours(5))), Ok(Vec::new()));
}

#[test]
fn a_plain_index_is_built_unless_the_table_is_large() {
    let mut wanted = users();
    wanted.indexes.push(index("email", false));
    let steps = one(&wanted, State::Ours(ours(MANY_ROWS))).unwrap();
    assert!(matches!(steps[..], [Step::CreateIndex { .. }, Step::Record(_)]));
    let refused = refusal(&wanted, State::Ours(ours(MANY_ROWS + 1)));
    assert_eq!(refused.help, "run this on the database, then reload: CREATE …;");
}

#[test]
fn a_unique_index_is_built_when_nothing_can_be_equal() {
    let mut wanted = users();
    wanted.indexes.push(index("email", true));
    assert_eq!(one(&wanted, State::Ours(ours(0))).unwrap().len(), 2);
    assert_eq!(refusal(&wanted, State::Ours(ours(1))).column.as_deref(), Some("email"));

    let mut with_field = users();
    with_field.columns.push(column("nick", ColumnType::Text));
    with_field.indexes.push(index("nick", true));
    assert_eq!(one(&with_field, State::Ours(ours(5))).unwrap().len(), 3);
    with_field.columns[1].default = Some("'x'".into());
    assert!(one(&with_field, State::Ours(ours(5))).is_err());
}

#[test]
fn an_index_made_by_hand_is_taken_over() {
    let mut wanted = users();
    wanted.indexes.push(index("email", true));
    let mut ours = ours(MANY_ROWS + 1);
    ours.made.push(index("email", true));
    assert_eq!(one(&wanted, State::Ours(ours)), Ok(vec![Step::Record(wanted)]));
}

#[test]
fn an_index_that_is_no_longer_declared_is_dropped() {
    for unique in [true, false] {
        let mut ours = ours(MANY_ROWS + 1);
        ours.recorded.indexes.push(index("email", unique));
        let steps = one(&users(), State::Ours(ours)).unwrap();
        assert!(matches!(steps[..], [Step::DropIndex { .. }, Step::Record(_)]));
    }
}

#[test]
fn another_type_is_refused() {
    let mut wanted = users();
    wanted.columns[0].kind = ColumnType::Integer;
    let refused = refusal(&wanted, State::Ours(ours(0)));
    assert_eq!(refused.message, "`email` holds text values in the table `users` and cannot become integer");
}

#[test]
fn another_id_is_refused() {
    let mut wanted = users();
    wanted.id = ColumnType::Integer;
    wanted.id_counts = true;
    assert_eq!(refusal(&wanted, State::Ours(ours(0))).column.as_deref(), Some("id"));
}

#[test]
fn a_field_that_leaves_keeps_its_column_and_comes_back_with_its_type_alone() {
    let mut wanted = users();
    wanted.columns.clear();
    assert_eq!(one(&wanted, State::Ours(ours(5))), Ok(Vec::new()));
    // The record still has the column, so it is as if it had never left.
    assert_eq!(one(&users(), State::Ours(ours(5))), Ok(Vec::new()));
    let mut other = users();
    other.columns[0].kind = ColumnType::Date;
    assert!(one(&other, State::Ours(ours(5))).is_err());
}

#[test]
fn what_is_not_ours_or_not_as_we_left_it_is_refused() {
    assert!(refusal(&users(), State::Foreign).message.contains("was not made by gatewright"));
    assert!(refusal(&users(), State::Newer("9.0".into())).message.contains("gatewright 9.0"));
    let mut drifted = ours(0);
    drifted.drift = Some("the column `x` was added".into());
    assert!(refusal(&users(), State::Ours(drifted)).message.ends_with("the column `x` was added"));
}

#[test]
fn all_refusals_are_told_and_no_step_is_left_beside_them() {
    let mut other = users();
    other.name = "other".into();
    let refused = plan(&[users(), other, users()], |_| Some(State::Foreign), |_, _| String::new()).unwrap_err();
    assert_eq!(refused.len(), 3);
    assert!(refused[2].message.contains("two resources use the table"));
}
