//! In how many ways schemas apply to one value. Trees are fine: each value is validated once. If a value can be reached in two ways at
//! each level, by a schema that leads back to itself or to the next one twice, a small body makes the validation take minutes.

use super::schema::Part;
use serde_json::{Map, Value};
use std::collections::{BTreeMap, HashMap, HashSet};
use std::rc::Rc;

/// How many schemas may apply to one value. Descriptions in use have up to some hundreds, by long lists of alternatives.
const MOST: u64 = 2000;
/// How many references may be open at once.
const DEEPEST: usize = 200;
/// How many kinds of values are looked at.
const MOST_VALUES: usize = 100_000;

/// One step from a value to a value in it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Step {
    Member(String),
    AnyMember,
    Element,
}

/// A schema, by its address.
type Address = *const Value;
/// The schemas that apply to one value, and in how many ways each does.
type Applied = BTreeMap<Address, u64>;

/// What a schema means for its own value.
struct Flat<'a> {
    /// How many schemas it consists of.
    size: u64,
    /// The schemas of values in the value.
    inside: Vec<(Step, &'a Value, u64)>,
}

/// Checks `schema`, whose references are found by `part`.
///
/// # Errors
/// Too many schemas apply to one value, or a reference leads back to itself or nowhere.
pub fn check<'a>(schema: &'a Value, part: &dyn Fn(&str) -> Option<&'a Value>) -> Result<(), String> {
    let mut ways = Ways { part, known: HashMap::new() };
    let (mut seen, mut open) = (HashSet::new(), vec![BTreeMap::from([(std::ptr::from_ref(schema), (schema, 1))])]);
    while let Some(applied) = open.pop() {
        let key: Applied = applied.iter().map(|(address, (_, count))| (*address, *count)).collect();
        if !seen.insert(key) {
            continue;
        }
        if seen.len() > MOST_VALUES {
            return Err("it is too large to be checked".to_owned());
        }
        let (mut size, mut inside) = (0_u64, BTreeMap::<Step, BTreeMap<Address, (&'a Value, u64)>>::new());
        for (schema, count) in applied.into_values() {
            let flat = ways.flat(schema, 0)?;
            size = size.saturating_add(flat.size.saturating_mul(count));
            for (step, schema, each) in &flat.inside {
                let entry =
                    inside.entry(step.clone()).or_default().entry(std::ptr::from_ref(*schema)).or_insert((schema, 0));
                entry.1 = entry.1.saturating_add(each.saturating_mul(count));
            }
        }
        if size > MOST {
            return Err(format!(
                "more than {MOST} schemas apply to the same value, by references that lead to the same schema in many ways, so that a \
                 small body could take very long"
            ));
        }
        // What applies to any member applies to those with names, too.
        let any = inside.get(&Step::AnyMember).cloned().unwrap_or_default();
        for (step, mut applied) in inside {
            if matches!(step, Step::Member(_)) {
                for (address, (schema, count)) in &any {
                    let entry = applied.entry(*address).or_insert((schema, 0));
                    entry.1 = entry.1.saturating_add(*count);
                }
            }
            open.push(applied);
        }
    }
    Ok(())
}

struct Ways<'a, 'p> {
    part: &'p dyn Fn(&str) -> Option<&'a Value>,
    /// By the address of a schema that a reference leads to; `None` while it is looked at.
    known: HashMap<Address, Option<Rc<Flat<'a>>>>,
}

impl<'a> Ways<'a, '_> {
    fn flat(&mut self, schema: &'a Value, depth: usize) -> Result<Rc<Flat<'a>>, String> {
        if let Some(Some(flat)) = self.known.get(&std::ptr::from_ref(schema)) {
            return Ok(Rc::clone(flat));
        }
        if depth > DEEPEST {
            return Err("it is nested too deeply".to_owned());
        }
        self.known.insert(schema, None);
        let (mut size, mut inside) = (1_u64, BTreeMap::<(Step, Address), (&'a Value, u64)>::new());
        let mut add = |flat: &Flat<'a>| {
            size = size.saturating_add(flat.size);
            for (step, schema, count) in &flat.inside {
                let entry = inside.entry((step.clone(), std::ptr::from_ref(*schema))).or_insert((schema, 0));
                entry.1 = entry.1.saturating_add(*count);
            }
        };
        if let Some(members) = schema.as_object() {
            if let Some(name) = members.get("$ref").and_then(Value::as_str) {
                let target = (self.part)(name).ok_or_else(|| format!("`{name}` leads nowhere"))?;
                if let Some(None) = self.known.get(&std::ptr::from_ref(target)) {
                    return Err(format!("`{name}` leads back to itself for the same value"));
                }
                add(&*self.flat(target, depth + 1)?);
            }
            for (step, part) in parts(members) {
                match step {
                    None => add(&*self.flat(part, depth + 1)?),
                    Some(step) => add(&Flat { size: 0, inside: vec![(step, part, 1)] }),
                }
            }
        }
        let inside = inside.into_iter().map(|((step, _), (schema, count))| (step, schema, count)).collect();
        let flat = Rc::new(Flat { size, inside });
        self.known.insert(schema, Some(Rc::clone(&flat)));
        Ok(flat)
    }
}

/// The schemas in a schema, and the step to the values that they validate; none if it is the same value.
fn parts(members: &Map<String, Value>) -> Vec<(Option<Step>, &Value)> {
    let mut found = Vec::new();
    for (key, value) in members {
        match (Part::of(key), value) {
            (Part::Same, value) => found.push((None, value)),
            (Part::SameList, Value::Array(list)) => found.extend(list.iter().map(|one| (None, one))),
            (Part::SameNamed, Value::Object(named)) => found.extend(named.values().map(|one| (None, one))),
            (Part::Members, Value::Object(named)) => {
                found.extend(named.iter().map(|(name, one)| (Some(Step::Member(name.clone())), one)));
            }
            (Part::AnyMember, value) => found.push((Some(Step::AnyMember), value)),
            (Part::AnyMembers, Value::Object(named)) => {
                found.extend(named.values().map(|one| (Some(Step::AnyMember), one)));
            }
            (Part::Element, value) => found.push((Some(Step::Element), value)),
            (Part::Elements, Value::Array(list)) => found.extend(list.iter().map(|one| (Some(Step::Element), one))),
            _ => {}
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn checked(schema: &Value) -> Result<(), String> {
        check(schema, &|name| schema.pointer(name.strip_prefix('#')?))
    }

    /// `levels` definitions, each of which refers to the next one as `part` says.
    fn chain(levels: usize, part: impl Fn(Value) -> Value) -> Value {
        let mut named = serde_json::Map::new();
        for level in 0..levels {
            named.insert(format!("a{level}"), part(json!({ "$ref": format!("#/$defs/a{}", level + 1) })));
        }
        named.insert(format!("a{levels}"), json!({ "type": "object", "required": ["z"] }));
        json!({ "$ref": "#/$defs/a0", "$defs": named })
    }

    #[test]
    fn references_that_double_the_work_at_each_level_are_refused() {
        for keyword in ["anyOf", "oneOf", "allOf"] {
            assert_eq!(checked(&chain(8, |next| json!({ keyword: [next, next] }))), Ok(()));
            let why = checked(&chain(25, |next| json!({ keyword: [next, next] }))).unwrap_err();
            assert!(why.starts_with("more than 2000 schemas apply to the same value"), "{why}");
        }
        let twice =
            |next: Value| json!({ "anyOf": [{ "properties": { "p": next } }, { "properties": { "p": next } }] });
        assert!(checked(&chain(25, twice)).is_err());
        let any = |next: Value| json!({ "properties": { "p": next }, "additionalProperties": next });
        assert!(checked(&chain(25, any)).is_err());
    }

    #[test]
    fn what_is_only_large_is_accepted() {
        // Different members, elements of one list, and a tree.
        let members = |next: Value| json!({ "properties": { "a": next, "b": next, "c": next } });
        assert_eq!(checked(&chain(60, members)), Ok(()));
        assert_eq!(checked(&chain(60, |next| json!({ "items": next }))), Ok(()));
        let tree = json!({ "properties": { "left": { "$ref": "#" }, "right": { "$ref": "#" }, "all": { "items": { "$ref": "#" } } } });
        assert_eq!(checked(&tree), Ok(()));
        let many: Vec<_> = (0..500).map(|kind| json!({ "properties": { "kind": { "const": kind } } })).collect();
        assert_eq!(checked(&json!({ "items": { "oneOf": many } })), Ok(()));
    }

    #[test]
    fn a_reference_to_its_own_value_is_refused() {
        assert!(checked(&json!({ "anyOf": [{ "$ref": "#" }] })).is_err());
        assert!(checked(&json!({ "$ref": "#/$defs/none" })).is_err());
    }
}
