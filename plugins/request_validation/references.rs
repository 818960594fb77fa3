//! Checks the references of a JSON Schema. One that leads back to itself would let the sender of a body choose how much
//! work its validation is: with alternatives, twice as much for each level of nesting.

use serde_json::Value;

/// Keywords that refer to a schema in a way that is not followed here.
const OTHERS: [&str; 3] = ["$dynamicRef", "$recursiveRef", "$anchor"];

/// What is wrong with a reference of `schema`, if anything.
pub fn check(schema: &Value) -> Result<(), String> {
    visit(schema, schema, &mut Vec::new())
}

/// Follows the references in `part`. `open` are those that lead to it.
fn visit<'a>(root: &'a Value, part: &'a Value, open: &mut Vec<&'a str>) -> Result<(), String> {
    match part {
        Value::Array(items) => items.iter().try_for_each(|item| visit(root, item, open)),
        Value::Object(members) => members.iter().try_for_each(|(name, value)| match (name.as_str(), value) {
            ("$ref", Value::String(target)) => follow(root, target, open),
            // Definitions are visited where they are used.
            ("$defs" | "definitions", _) => Ok(()),
            (other, Value::String(_)) if OTHERS.contains(&other) => Err(format!("`{other}` is not supported")),
            _ => visit(root, value, open),
        }),
        _ => Ok(()),
    }
}

fn follow<'a>(root: &'a Value, target: &'a str, open: &mut Vec<&'a str>) -> Result<(), String> {
    if open.contains(&target) {
        return Err(format!("the reference `{target}` leads back to itself"));
    }
    // A chain of references that is not a loop is short; a longer one doubles the work with each step.
    if open.len() >= 16 {
        return Err(format!("the reference `{target}` is nested too deeply"));
    }
    let pointer =
        target.strip_prefix('#').ok_or_else(|| format!("the reference `{target}` leads out of the schema"))?;
    let found = root.pointer(pointer).ok_or_else(|| format!("the reference `{target}` leads nowhere"))?;
    open.push(target);
    let checked = visit(root, found, open);
    open.pop();
    checked
}
