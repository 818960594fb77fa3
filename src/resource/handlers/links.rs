//! Links from a page to the others (RFC 8288).

use super::address;
use crate::resource::model::Model;
use crate::resource::query::{List, Page, last_page};
use std::fmt::Write;

/// How many rows a list has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Total {
    Known(u64),
    MoreThan(u64),
    Unknown,
}

/// The value of `Link`, for the collection at `path`.
pub fn links(model: &Model, path: &str, list: &List, more: bool, cursor: Option<&str>, total: Total) -> String {
    let (path, kept, per_page) = (address::of(path), &list.kept, list.per_page);
    let mut value = String::with_capacity(160);
    let mut add = |query: std::fmt::Arguments<'_>, rel: &str| {
        let comma = if value.is_empty() { "" } else { ", " };
        // Writing to a string does not fail.
        let _ = write!(value, "{comma}<{path}?{kept}{query}>; rel=\"{rel}\"");
    };
    let Page::Number(page) = list.page else {
        if let Some(cursor) = cursor {
            add(format_args!("per_page={per_page}&cursor={cursor}"), "next");
        }
        add(format_args!("per_page={per_page}"), "first");
        return value;
    };
    let page = u64::from(page);
    let last = match total {
        Total::Known(total) => Some(total.div_ceil(u64::from(per_page)).max(1)),
        Total::MoreThan(_) | Total::Unknown => None,
    };
    add(format_args!("page=1&per_page={per_page}"), "first");
    if page > 1 {
        let before = page.saturating_sub(1);
        add(format_args!("page={}&per_page={per_page}", last.map_or(before, |last| before.min(last))), "prev");
    }
    if more && page < last_page(&model.pagination) {
        add(format_args!("page={}&per_page={per_page}", page.saturating_add(1)), "next");
    } else if let Some(cursor) = cursor {
        add(format_args!("per_page={per_page}&cursor={cursor}"), "next");
    }
    if let Some(last) = last {
        add(format_args!("page={last}&per_page={per_page}"), "last");
    }
    value
}
