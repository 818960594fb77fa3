//! Tables whose rows are in other tables: the partitions of a table of PostgreSQL, and its children (`INHERITS`).

use std::collections::{BTreeMap, BTreeSet};

/// Which tables have rows of others.
#[derive(Debug, Default)]
pub struct Families {
    /// Those below a table, at any depth.
    below: BTreeMap<String, BTreeSet<String>>,
    partitioned: BTreeSet<String>,
}

impl Families {
    /// `below` is a table with one below it, and whether it is partitioned.
    pub fn new(below: impl IntoIterator<Item = (String, String, bool)>) -> Self {
        let mut families = Self::default();
        for (table, other, is_partitioned) in below {
            if is_partitioned {
                families.partitioned.insert(table.clone());
            }
            families.below.entry(table).or_default().insert(other);
        }
        families
    }

    /// The tables that a statement about this table reads and writes.
    pub fn rows<'a>(&'a self, table: &'a str) -> BTreeSet<&'a str> {
        let below = self.below.get(table).into_iter().flatten().map(String::as_str);
        below.chain([table]).collect()
    }

    /// The tables whose rows a foreign key of this table, or one that refers to it, is about. Children do not inherit foreign keys.
    pub fn keyed<'a>(&'a self, table: &'a str) -> BTreeSet<&'a str> {
        if self.partitioned.contains(table) { self.rows(table) } else { BTreeSet::from([table]) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_about_partitions_and_not_about_children() {
        let pair = |table: &str, other: &str, is_partitioned| (table.to_owned(), other.to_owned(), is_partitioned);
        let families = Families::new([pair("a", "a_1", true), pair("a", "a_2", true), pair("b", "b_1", false)]);
        assert_eq!(families.rows("a"), BTreeSet::from(["a", "a_1", "a_2"]));
        assert_eq!(families.keyed("a"), families.rows("a"));
        assert_eq!(families.rows("b"), BTreeSet::from(["b", "b_1"]));
        assert_eq!(families.keyed("b"), BTreeSet::from(["b"]));
        assert_eq!(families.rows("b_1"), BTreeSet::from(["b_1"]));
    }
}
