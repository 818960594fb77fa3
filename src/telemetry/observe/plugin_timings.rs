//! Records when a traced request reached each plugin of its chains, and when each had a response.

use gatewright_sdk::{HttpService, Reply, Response};
use std::cell::{Cell, RefCell};
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Instant;

/// The label of one use of a plugin in spans.
#[derive(Debug)]
pub struct PluginLabel {
    /// `<listener or route>/<plugin name>`.
    pub(super) place: Arc<str>,
    /// Its type: `jwt`.
    pub(super) kind: Arc<str>,
    /// `plugin <plugin name>`.
    pub(super) span: Box<str>,
}

impl PluginLabel {
    /// The label of the plugin `name` of type `kind` at `place`.
    pub fn new(name: &str, kind: &str, place: &str) -> Self {
        Self { place: place.into(), kind: kind.into(), span: format!("plugin {name}").into() }
    }
}

/// One service that a request reached. Listed in the order in which they were reached.
pub(super) struct PluginTiming {
    /// `None` for the service behind the last plugin of a chain.
    pub label: Option<Arc<PluginLabel>>,
    pub entered: Instant,
    /// When its response was ready; `None` if it was dropped before.
    pub left: Option<Instant>,
}

/// The timings of one request.
#[derive(Default)]
pub(super) struct PluginTimings(pub Vec<PluginTiming>);

/// The usual number; more only cost another allocation.
const USUAL: usize = 16;

thread_local! {
    /// Whether the current request is recorded. Separate from the timings, so that other requests pay only for reading
    /// it.
    static RECORDING: Cell<bool> = const { Cell::new(false) };
    /// Its timings.
    static CURRENT: RefCell<Vec<PluginTiming>> = const { RefCell::new(Vec::new()) };
}

impl PluginTimings {
    /// Collects the timings recorded on this thread until the returned value is dropped.
    pub(super) fn record(&mut self) -> Recording<'_> {
        if self.0.capacity() == 0 {
            self.0.reserve(USUAL);
        }
        CURRENT.with_borrow_mut(|current| std::mem::swap(current, &mut self.0));
        Recording { timings: self, before: RECORDING.replace(true) }
    }
}

pub(super) struct Recording<'a> {
    timings: &'a mut PluginTimings,
    before: bool,
}

impl Drop for Recording<'_> {
    fn drop(&mut self) {
        CURRENT.with_borrow_mut(|current| std::mem::swap(current, &mut self.timings.0));
        RECORDING.set(self.before);
    }
}

/// Puts a probe in front of `next`, which is the plugin of `label`, or the service behind the last plugin of a chain.
/// It records when a traced request arrives and when its response is ready.
pub fn probe(label: Option<PluginLabel>, next: HttpService) -> HttpService {
    let label = label.map(Arc::new);
    HttpService::from_call(move |request| {
        if !RECORDING.get() {
            return next.call(request);
        }
        let place = enter(label.as_ref());
        match next.call(request) {
            Reply::Pending(future) => Reply::Pending(Box::pin(Probed { future, place })),
            ready @ Reply::Ready(_) => {
                leave(place);
                ready
            }
        }
    })
}

/// The index of a timing, and when it was recorded. If the response is polled on behalf of another request, as when
/// several share one, the time distinguishes that request's timing at the same index.
#[derive(Clone, Copy)]
struct OpenTiming {
    index: usize,
    entered: Instant,
}

fn enter(label: Option<&Arc<PluginLabel>>) -> OpenTiming {
    let entered = Instant::now();
    CURRENT.with_borrow_mut(|timings| {
        timings.push(PluginTiming { label: label.cloned(), entered, left: None });
        OpenTiming { index: timings.len() - 1, entered }
    })
}

fn leave(place: OpenTiming) {
    CURRENT.with_borrow_mut(|timings| {
        if let Some(timing) = timings.get_mut(place.index).filter(|timing| timing.entered == place.entered) {
            timing.left = Some(Instant::now());
        }
    });
}

/// A pending response to a recorded request.
struct Probed {
    future: Pin<Box<dyn Future<Output = Response> + Send>>,
    place: OpenTiming,
}

impl Future for Probed {
    type Output = Response;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Response> {
        let response = ready!(self.future.as_mut().poll(cx));
        leave(self.place);
        Poll::Ready(response)
    }
}
