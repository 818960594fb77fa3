//! Keys that are not implemented are rejected by name.

use super::*;
use crate::config::schema::ConfigSchema;

/// A key that is renamed in the document must also be renamed in the table.
#[test]
fn every_pending_key_is_a_key_of_the_format() {
    let schema = ConfigSchema::new([]);
    for Pending { pattern, .. } in PENDING {
        let mut place = vec![schema.root()];
        for part in pattern.split('.') {
            let branches = place.iter().flat_map(|place| schema.branches(place)).map(|(_, branch)| branch);
            place = branches
                .filter_map(|branch| match part {
                    "*" => {
                        branch.get("additionalProperties").filter(|any| any.is_object()).or_else(|| branch.get("items"))
                    }
                    name => branch.get("properties")?.get(name),
                })
                .collect();
        }
        assert!(!place.is_empty(), "{pattern}");
    }
}
