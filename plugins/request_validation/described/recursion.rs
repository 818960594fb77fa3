//! Schemas that lead back to themselves. Trees are fine: each value is validated once. If one value can be reached in two ways, the sender of
//! a body chooses how much work its validation is: twice as much for each level of nesting. Such schemas are refused.

use super::schema::Part;
use serde_json::{Map, Value};
use std::collections::{HashMap, HashSet};
use std::rc::Rc;

/// How many references may be open at once while a schema is compiled.
const DEEPEST: usize = 200;

/// One step from a value to a value in it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Step {
    Member(String),
    AnyMember,
    Element,
}

/// Where a schema refers to another one: the way to the value that the other one validates.
#[derive(Debug, Clone)]
struct Edge {
    way: Rc<[Step]>,
    to: String,
}

/// The references of the schemas that are validated with, by reference.
pub struct Recursion<'a> {
    part: &'a dyn Fn(&str) -> Option<&'a Value>,
    /// Those to values inside, after following references to the same value.
    edges: HashMap<String, Rc<[Edge]>>,
}

impl<'a> Recursion<'a> {
    pub fn new(part: &'a dyn Fn(&str) -> Option<&'a Value>) -> Self {
        Self { part, edges: HashMap::new() }
    }

    /// Checks `schema` and everything that it refers to.
    ///
    /// # Errors
    /// A reference that leads back to itself in a way that is refused, and why.
    pub fn check(&mut self, schema: &'a Value) -> Result<(), String> {
        let first = self.inside(schema, &mut Vec::new())?;
        let mut order: Vec<String> = Vec::new();
        let mut seen: HashSet<String> = HashSet::new();
        for edge in &first {
            self.visit(&edge.to, &mut seen, &mut order)?;
        }
        for (name, circle) in self.circles(&order) {
            let edges = self.edges.get(name).map(Rc::clone).unwrap_or_default();
            let back: Vec<&Edge> = edges.iter().filter(|edge| circle.contains(edge.to.as_str())).collect();
            for (index, one) in back.iter().enumerate() {
                if back.iter().skip(index + 1).any(|other| overlaps(&one.way, &other.way)) {
                    return Err(format!(
                        "`{name}` leads back to itself in two ways for the same value, so that a small body could take very long"
                    ));
                }
            }
        }
        Ok(())
    }

    /// Adds what `name` leads to, and then `name` itself.
    fn visit(&mut self, name: &str, seen: &mut HashSet<String>, order: &mut Vec<String>) -> Result<(), String> {
        if !seen.insert(name.to_owned()) {
            return Ok(());
        }
        let mut open = vec![(name.to_owned(), self.edges(name)?, 0)];
        while let Some((name, edges, next)) = open.last_mut() {
            let Some(edge) = edges.get(*next) else {
                order.push(std::mem::take(name));
                open.pop();
                continue;
            };
            *next += 1;
            let to = edge.to.clone();
            if seen.insert(to.clone()) {
                if open.len() >= DEEPEST {
                    return Err(format!("`{to}` is nested too deeply in other schemas"));
                }
                let edges = self.edges(&to)?;
                open.push((to, edges, 0));
            }
        }
        Ok(())
    }

    /// The schemas on circles, each with all that are on the same ones: Kosaraju's algorithm. `order` has each after what it leads to.
    fn circles<'o>(&self, order: &'o [String]) -> Vec<(&'o str, Rc<HashSet<&'o str>>)> {
        let mut from: HashMap<&str, Vec<&'o str>> = HashMap::new();
        for name in order {
            for edge in self.edges.get(name).into_iter().flat_map(|edges| edges.iter()) {
                from.entry(&edge.to).or_default().push(name);
            }
        }
        let (mut found, mut seen) = (Vec::new(), HashSet::new());
        for name in order.iter().rev().map(String::as_str) {
            let (mut members, mut open) = (HashSet::new(), vec![name]);
            while let Some(name) = open.pop() {
                if seen.insert(name) {
                    members.insert(name);
                    open.extend(from.get(name).into_iter().flatten().copied());
                }
            }
            let members = Rc::new(members);
            found.extend(members.iter().map(|member| (*member, Rc::clone(&members))));
        }
        found
    }

    fn edges(&mut self, name: &str) -> Result<Rc<[Edge]>, String> {
        self.edges_of(name, &mut Vec::new())
    }

    /// `open` are the schemas that are looked at for the same value.
    fn edges_of(&mut self, name: &str, open: &mut Vec<String>) -> Result<Rc<[Edge]>, String> {
        if let Some(known) = self.edges.get(name) {
            return Ok(Rc::clone(known));
        }
        if open.len() >= DEEPEST || open.iter().any(|known| known == name) {
            return Err(format!("`{name}` leads back to itself for the same value, or is nested too deeply"));
        }
        let Some(schema) = (self.part)(name) else { return Err(format!("`{name}` leads nowhere")) };
        open.push(name.to_owned());
        let found: Rc<[Edge]> = self.inside(schema, open)?.into();
        open.pop();
        self.edges.insert(name.to_owned(), Rc::clone(&found));
        Ok(found)
    }

    fn inside(&mut self, schema: &'a Value, open: &mut Vec<String>) -> Result<Vec<Edge>, String> {
        let mut found = Vec::new();
        self.walk(schema, &mut Vec::new(), open, &mut found)?;
        Ok(found)
    }

    fn walk(
        &mut self,
        schema: &'a Value,
        way: &mut Vec<Step>,
        open: &mut Vec<String>,
        found: &mut Vec<Edge>,
    ) -> Result<(), String> {
        let Some(members) = schema.as_object() else { return Ok(()) };
        if let Some(to) = members.get("$ref").and_then(Value::as_str) {
            if way.is_empty() {
                found.extend(self.edges_of(to, open)?.iter().cloned());
            } else {
                found.push(Edge { way: way.as_slice().into(), to: to.to_owned() });
            }
        }
        for (step, part) in parts(members) {
            let inner = step.is_some();
            way.extend(step);
            self.walk(part, way, open, found)?;
            if inner {
                way.pop();
            }
        }
        Ok(())
    }
}

/// The schemas in a schema, and the step to the values that they validate; none if it is the same value.
pub fn parts(members: &Map<String, Value>) -> Vec<(Option<Step>, &Value)> {
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

/// Whether one way can be the beginning of the other: then there are values with two readings.
fn overlaps(one: &[Step], other: &[Step]) -> bool {
    one.iter().zip(other).all(|pair| match pair {
        (Step::Member(one), Step::Member(other)) => one == other,
        (Step::Element, Step::Element) => true,
        (Step::Element, _) | (_, Step::Element) => false,
        (Step::AnyMember, _) | (_, Step::AnyMember) => true,
    })
}
