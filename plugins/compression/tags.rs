//! Entity tags of compressed responses: marked on the way out, recognized on the way in.
//!
//! A different sequence of bytes needs a different tag (RFC 9110 section 8.8.3.3), so the tag of a compressed response
//! ends in the name of its coding. The mark is removed again before the origin of the tag sees it.

use super::encoding::Algorithm;
use http::header::{ETAG, Entry};
use http::{HeaderMap, HeaderName, HeaderValue};

/// A tag in a request.
#[derive(Debug, PartialEq, Eq)]
pub struct Listed {
    /// The text between its quotes, without the mark.
    opaque: String,
    mark: Option<Algorithm>,
}

/// Whether any tag in the field `name` may have a mark.
pub fn has_marks(headers: &HeaderMap, name: &HeaderName) -> bool {
    headers.get_all(name).iter().any(|value| value.as_bytes().contains(&b'+'))
}

/// Removes the marks of `known` codings from the tags in the field `name`. Returns all tags if one of them had a mark.
/// A field that is not a list of tags is left alone.
pub fn unmark(headers: &mut HeaderMap, name: &HeaderName, known: impl Fn(Algorithm) -> bool) -> Vec<Listed> {
    let mut listed = Vec::new();
    if !has_marks(headers, name) {
        return listed;
    }
    let Entry::Occupied(mut field) = headers.entry(name) else { return listed };
    for value in field.iter_mut() {
        let Some(tags) = value.to_str().ok().and_then(list) else { continue };
        let mut text = String::with_capacity(value.len());
        for (weak, opaque) in tags {
            let (opaque, mark) = split(opaque, &known);
            let comma = if text.is_empty() { "" } else { ", " };
            text.extend([comma, weak, "\"", opaque, "\""]);
            listed.push(Listed { opaque: opaque.to_owned(), mark });
        }
        if let Ok(unmarked) = HeaderValue::try_from(text) {
            *value = unmarked;
        }
    }
    if listed.iter().all(|tag| tag.mark.is_none()) {
        listed.clear();
    }
    listed
}

/// Marks the tag of a response compressed with `algorithm`, if it is a strong tag.
pub fn mark(headers: &mut HeaderMap, algorithm: Algorithm) {
    let Some(tag) = headers.get(ETAG).and_then(|tag| tag.to_str().ok()) else { return };
    let Some(opaque) = tag.strip_prefix('"').and_then(|tag| tag.strip_suffix('"')) else { return };
    if let Ok(tag) = HeaderValue::try_from(format!("\"{opaque}+{}\"", algorithm.name())) {
        headers.insert(ETAG, tag);
    }
}

/// Gives the tag of a 304 the mark that the client sent with it; if there were several, that of `preferred`, which a
/// 200 would have now.
pub fn confirm(headers: &mut HeaderMap, listed: &[Listed], preferred: Option<Algorithm>) {
    let Some(tag) = headers.get(ETAG).and_then(|tag| tag.to_str().ok()) else { return };
    let Some(opaque) = tag.strip_prefix('"').and_then(|tag| tag.strip_suffix('"')) else { return };
    let mut named: Vec<_> = listed.iter().filter(|tag| tag.opaque == opaque).map(|tag| tag.mark).collect();
    named.sort_by_key(|mark| (*mark != preferred, mark.is_some()));
    if let Some(Some(algorithm)) = named.first() {
        mark(headers, *algorithm);
    }
}

/// The opaque part of a tag, without the mark of a `known` coding.
fn split(opaque: &str, known: impl Fn(Algorithm) -> bool) -> (&str, Option<Algorithm>) {
    let marked = opaque.rsplit_once('+').and_then(|(before, name)| {
        let algorithm = Algorithm::ALL.into_iter().find(|algorithm| algorithm.name() == name)?;
        known(algorithm).then_some((before, Some(algorithm)))
    });
    marked.unwrap_or((opaque, None))
}

/// The tags of a list (RFC 9110 sections 5.6.1 and 8.8.3), each as `W/` or nothing, and the text between its quotes.
fn list(text: &str) -> Option<Vec<(&str, &str)>> {
    let mut tags = Vec::new();
    let mut rest = text.trim_matches([' ', '\t', ',']);
    while !rest.is_empty() {
        let strong = rest.strip_prefix("W/");
        let (opaque, after) = strong.unwrap_or(rest).strip_prefix('"')?.split_once('"')?;
        tags.push((if strong.is_some() { "W/" } else { "" }, opaque));
        let next = after.trim_start_matches([' ', '\t']);
        if !next.is_empty() && !next.starts_with(',') {
            return None;
        }
        rest = next.trim_start_matches([' ', '\t', ',']);
    }
    Some(tags)
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::header::IF_NONE_MATCH;

    #[test]
    fn a_mark_stays_with_its_tag() {
        let gzip_only = |algorithm| algorithm == Algorithm::Gzip;
        for (sent, handed_on) in [
            (r#""a+gzip""#, r#""a""#),
            (r#""a+gzip", "b""#, r#""a", "b""#),
            (r#"W/"a+gzip" , "b+br","c+d""#, r#"W/"a", "b+br", "c+d""#),
            (r#""a,+gzip", "+gzip""#, r#""a,", """#),
            (r#","a+gzip",,"#, r#""a""#),
            ("*", "*"),
            (r#""a+gzip"#, r#""a+gzip"#),
            (r#""a+gzip" "b""#, r#""a+gzip" "b""#),
            ("a+gzip", "a+gzip"),
            (r#""a+GZIP""#, r#""a+GZIP""#),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(IF_NONE_MATCH, sent.parse().unwrap());
            unmark(&mut headers, &IF_NONE_MATCH, gzip_only);
            assert_eq!(headers[IF_NONE_MATCH], handed_on, "{sent}");
        }
    }

    #[test]
    fn every_line_of_the_field_is_read() {
        let mut headers = HeaderMap::new();
        headers.append(IF_NONE_MATCH, r#""a""#.parse().unwrap());
        headers.append(IF_NONE_MATCH, r#""b+br""#.parse().unwrap());
        let listed = unmark(&mut headers, &IF_NONE_MATCH, |_| true);
        assert_eq!(headers.get_all(IF_NONE_MATCH).iter().collect::<Vec<_>>(), [r#""a""#, r#""b""#]);
        let tag = |opaque: &str, mark| Listed { opaque: opaque.to_owned(), mark };
        assert_eq!(listed, [tag("a", None), tag("b", Some(Algorithm::Br))]);
    }
}
