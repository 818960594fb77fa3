//! When a traced request reached each plugin of its chains, and when that had answered.

use gatewright_sdk::{HttpService, Reply, Response};
use std::cell::{Cell, RefCell};
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Instant;

/// What spans call one use of a plugin.
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
    /// The label of the plugin `name`, which is a `kind`, at `place`.
    pub fn new(name: &str, kind: &str, place: &str) -> Self {
        Self { place: place.into(), kind: kind.into(), span: format!("plugin {name}").into() }
    }
}

/// One service that a request reached. They stand in the order in which they were reached.
pub(super) struct PluginTiming {
    /// `None` for what stands behind the last plugin of a chain.
    pub label: Option<Arc<PluginLabel>>,
    pub entered: Instant,
    /// When its answer was there; `None` when it was given up before.
    pub left: Option<Instant>,
}

/// The timings of one request.
#[derive(Default)]
pub(super) struct PluginTimings(pub Vec<PluginTiming>);

/// So many are usual; more only cost another allocation.
const USUAL: usize = 16;

thread_local! {
    /// Whether the request that is being worked on here is recorded. Apart from the timings, so that all others pay for
    /// no more than reading it.
    static RECORDING: Cell<bool> = const { Cell::new(false) };
    /// Its timings.
    static CURRENT: RefCell<Vec<PluginTiming>> = const { RefCell::new(Vec::new()) };
}

impl PluginTimings {
    /// Collects the timings that are made on this thread until what is given is dropped.
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

/// Puts a probe in front of `next`, which is the plugin of `label`, or what stands behind the last one of a chain. It
/// notes when a request whose timings are recorded gets there, and when the answer is there.
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

/// Where a timing stands, and when it was made: should the answer be waited for in the name of another request, as it
/// is where several share one, the timing there is not taken for this one's.
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

/// An answer that is still to come, of a request that is recorded.
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
