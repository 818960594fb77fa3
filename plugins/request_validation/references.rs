//! Checks the references of a JSON Schema. One that leads back to itself would let the sender of a body choose how much
//! work its validation is: with alternatives, twice as much for each level of nesting.

use serde_json::Value;
use std::collections::HashMap;

/// Keywords that refer to a schema in a way that is not followed here.
const OTHERS: [&str; 3] = ["$dynamicRef", "$recursiveRef", "$anchor"];

/// How many references may lead to each other.
const DEEPEST: usize = 16;

/// What is wrong with a reference of `schema`, if anything.
pub fn check(schema: &Value) -> Result<(), String> {
    References { root: schema, known: HashMap::new(), open: Vec::new() }.visit(schema).map(|_| ())
}

struct References<'a> {
    root: &'a Value,
    /// How many references are below each one that was followed.
    known: HashMap<&'a str, usize>,
    /// Those that lead to the part that is looked at.
    open: Vec<&'a str>,
}

impl<'a> References<'a> {
    /// Follows the references in `part`; returns how many of them are below each other at most.
    fn visit(&mut self, part: &'a Value) -> Result<usize, String> {
        let mut deepest = 0;
        match part {
            Value::Array(items) => {
                for item in items {
                    deepest = deepest.max(self.visit(item)?);
                }
            }
            Value::Object(members) => {
                for (name, value) in members {
                    deepest = deepest.max(match (name.as_str(), value) {
                        ("$ref", Value::String(target)) => self.follow(target)?,
                        // Definitions are visited where they are used.
                        ("$defs" | "definitions", _) => 0,
                        (other, Value::String(_)) if OTHERS.contains(&other) => {
                            return Err(format!("`{other}` is not supported"));
                        }
                        _ => self.visit(value)?,
                    });
                }
            }
            _ => {}
        }
        Ok(deepest)
    }

    fn follow(&mut self, target: &'a str) -> Result<usize, String> {
        if self.open.contains(&target) {
            return Err(format!("the reference `{target}` leads back to itself"));
        }
        let below = self.known.get(target).copied();
        if self.open.len() + below.unwrap_or(1) > DEEPEST {
            return Err(format!("the reference `{target}` is nested too deeply"));
        }
        if let Some(below) = below {
            return Ok(below);
        }
        let pointer =
            target.strip_prefix('#').ok_or_else(|| format!("the reference `{target}` leads out of the schema"))?;
        let found = self.root.pointer(pointer).ok_or_else(|| format!("the reference `{target}` leads nowhere"))?;
        self.open.push(target);
        let below = self.visit(found)? + 1;
        self.open.pop();
        self.known.insert(target, below);
        Ok(below)
    }
}
