//! B3, the trace context of Zipkin, in one or several header fields (openzipkin/b3-propagation).

use super::Caller;
use http::{HeaderMap, HeaderName, HeaderValue};
use opentelemetry::trace::{SpanContext, SpanId, TraceFlags, TraceId, TraceState};

/// The single field: `{trace id}-{span id}-{state}-{parent's span id}`, with the last two optional; or the state alone.
pub(super) const SINGLE: HeaderName = HeaderName::from_static("b3");

const TRACE: HeaderName = HeaderName::from_static("x-b3-traceid");
const SPAN: HeaderName = HeaderName::from_static("x-b3-spanid");
const SAMPLED: HeaderName = HeaderName::from_static("x-b3-sampled");
const FLAGS: HeaderName = HeaderName::from_static("x-b3-flags");
const PARENT: HeaderName = HeaderName::from_static("x-b3-parentspanid");

/// The fields of the multi-field form.
pub(super) const FIELDS: [HeaderName; 5] = [TRACE, SPAN, SAMPLED, FLAGS, PARENT];

pub(super) fn read(headers: &HeaderMap) -> Option<Caller> {
    let mut parts = text(headers, &SINGLE)?.split('-');
    let (first, second, state) = (parts.next()?, parts.next(), parts.next());
    match second {
        None => caller(None, state_of(first)?),
        Some(span) => caller(Some((first, span)), state.map_or(Some(None), |state| state_of(state).map(Some))?),
    }
}

pub(super) fn read_fields(headers: &HeaderMap) -> Option<Caller> {
    let debug = text(headers, &FLAGS) == Some("1");
    let state = match text(headers, &SAMPLED) {
        _ if debug => Some(true),
        None => None,
        Some(state) => Some(state_of(state)?),
    };
    match (text(headers, &TRACE), text(headers, &SPAN)) {
        (None, None) => caller(None, state?),
        (Some(trace), Some(span)) => caller(Some((trace, span)), state),
        _ => None,
    }
}

pub(super) fn write(span: &SpanContext, headers: &mut HeaderMap) {
    let state = if span.is_sampled() { '1' } else { '0' };
    if let Ok(value) = HeaderValue::try_from(format!("{}-{}-{state}", span.trace_id(), span.span_id())) {
        headers.insert(SINGLE, value);
    }
}

pub(super) fn write_fields(span: &SpanContext, headers: &mut HeaderMap) {
    let ids = (HeaderValue::try_from(span.trace_id().to_string()), HeaderValue::try_from(span.span_id().to_string()));
    if let (Ok(trace), Ok(id)) = ids {
        headers.insert(TRACE, trace);
        headers.insert(SPAN, id);
        headers.insert(SAMPLED, HeaderValue::from_static(if span.is_sampled() { "1" } else { "0" }));
        // These belong to the caller's span.
        headers.remove(FLAGS);
        headers.remove(PARENT);
    }
}

/// The value of a field that occurs once.
fn text<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    let mut values = headers.get_all(name).iter();
    let (Some(value), None) = (values.next(), values.next()) else { return None };
    value.to_str().ok()
}

/// Some senders write booleans. `d` stands for debug, which implies sampling.
fn state_of(text: &str) -> Option<bool> {
    match text {
        "1" | "d" | "true" => Some(true),
        "0" | "false" => Some(false),
        _ => None,
    }
}

/// A caller with these ids, or with only a decision.
fn caller(ids: Option<(&str, &str)>, state: impl Into<Option<bool>>) -> Option<Caller> {
    let state = state.into();
    let (trace, span) = match ids {
        None => (TraceId::INVALID, SpanId::INVALID),
        Some((trace, span)) => {
            let lengths = matches!(trace.len(), 16 | 32) && span.len() == 16;
            let hex = trace.bytes().chain(span.bytes()).all(|byte| byte.is_ascii_hexdigit());
            if !(lengths && hex) {
                return None;
            }
            (TraceId::from_hex(trace).ok()?, SpanId::from_hex(span).ok()?)
        }
    };
    if ids.is_some() && (trace == TraceId::INVALID || span == SpanId::INVALID) {
        return None;
    }
    let flags = if state == Some(true) { TraceFlags::SAMPLED } else { TraceFlags::NOT_SAMPLED };
    let span = SpanContext::new(trace, span, flags, true, TraceState::NONE);
    Some(Caller { span, decided: state.is_some() })
}

#[cfg(test)]
mod tests {
    use super::*;

    const TRACE_ID: &str = "80f198ee56343ba864fe8b2a57d3eff7";
    const SPAN_ID: &str = "e457b5a2e4d86bd1";

    fn headers(fields: &[(&'static str, &str)]) -> HeaderMap {
        fields.iter().map(|(name, value)| (HeaderName::from_static(name), value.parse().unwrap())).collect()
    }

    #[test]
    fn the_single_field_has_ids_a_decision_or_both() {
        let ids = format!("{TRACE_ID}-{SPAN_ID}");
        for (value, expected) in [
            (format!("{ids}-1"), Some((TRACE_ID, Some(true)))),
            (format!("{ids}-d-05e3ac9a4f6e3b90"), Some((TRACE_ID, Some(true)))),
            (format!("{ids}-0"), Some((TRACE_ID, Some(false)))),
            (ids.clone(), Some((TRACE_ID, None))),
            (format!("64fe8b2a57d3eff7-{SPAN_ID}"), Some(("000000000000000064fe8b2a57d3eff7", None))),
            ("0".to_owned(), Some(("00000000000000000000000000000000", Some(false)))),
            ("d".to_owned(), Some(("00000000000000000000000000000000", Some(true)))),
            (format!("{ids}-x"), None),
            (format!("{TRACE_ID}-{}", &SPAN_ID[1..]), None),
            (format!("{TRACE_ID}-0000000000000000-1"), None),
            (format!("+{}-{SPAN_ID}-1", &TRACE_ID[1..]), None),
            ("é".to_owned(), None),
            (String::new(), None),
        ] {
            let caller = read(&headers(&[("b3", &value)]));
            let found = caller
                .as_ref()
                .map(|caller| (caller.span.trace_id().to_string(), caller.decided.then(|| caller.span.is_sampled())));
            assert_eq!(found, expected.map(|(trace, state)| (trace.to_owned(), state)), "{value}");
        }
        let mut twice = headers(&[("b3", "1")]);
        twice.append(SINGLE, HeaderValue::from_static("1"));
        assert_eq!(read(&twice), None);
    }

    #[test]
    fn the_multi_field_form_is_equivalent() {
        let ids = [("x-b3-traceid", TRACE_ID), ("x-b3-spanid", SPAN_ID)];
        for (more, expected) in [
            (vec![("x-b3-sampled", "1")], Some(Some(true))),
            (vec![("x-b3-sampled", "false")], Some(Some(false))),
            (vec![("x-b3-flags", "1")], Some(Some(true))),
            (vec![], Some(None)),
            (vec![("x-b3-sampled", "maybe")], None),
        ] {
            let fields = [&ids[..], &more].concat();
            let found = read_fields(&headers(&fields));
            assert_eq!(found.map(|caller| caller.decided.then(|| caller.span.is_sampled())), expected, "{more:?}");
        }
        assert_eq!(read_fields(&headers(&ids[..1])), None);
        assert_eq!(read_fields(&headers(&[("x-b3-sampled", "0")])).map(|caller| caller.decided), Some(true));
    }

    #[test]
    fn a_written_context_can_be_read_and_replaces_the_callers() {
        let span = read(&headers(&[("b3", &format!("{TRACE_ID}-{SPAN_ID}-1"))])).unwrap().span;
        let mut single = headers(&[]);
        write(&span, &mut single);
        assert_eq!(read(&single).unwrap().span, span);
        let mut fields = headers(&[("x-b3-flags", "1"), ("x-b3-parentspanid", "05e3ac9a4f6e3b90")]);
        write_fields(&span, &mut fields);
        assert_eq!(read_fields(&fields).unwrap().span, span);
        assert_eq!(fields.len(), 3);
    }
}
