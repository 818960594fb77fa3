//! A connection of a pool in use.

use std::ops::Deref;
use std::time::Duration;

use deadpool_postgres::{ClientWrapper, Object};
use tokio::runtime::Handle;
use tokio_postgres_rustls::MakeRustlsConnect;

/// How long a cancel request may take.
const CANCELLING: Duration = Duration::from_secs(2);

/// A connection in use. It returns to its pool when the work on it is finished; otherwise the server is told to cancel what it
/// does, and the connection is closed.
pub struct Lease {
    object: Option<Object>,
    tls: MakeRustlsConnect,
    finished: bool,
}

impl Lease {
    pub const fn new(object: Object, tls: MakeRustlsConnect) -> Self {
        Self { object: Some(object), tls, finished: false }
    }

    /// Nothing is under way on it any more.
    pub const fn finish(&mut self) {
        self.finished = true;
    }

    /// Something is under way on it.
    pub const fn begin(&mut self) {
        self.finished = false;
    }
}

impl Deref for Lease {
    type Target = ClientWrapper;

    fn deref(&self) -> &ClientWrapper {
        self.object.as_ref().expect("a lease has its connection until it is dropped")
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        let Some(object) = self.object.take().filter(|object| !self.finished || object.is_closed()) else { return };
        let client = Object::take(object);
        if client.is_closed() {
            return;
        }
        let (token, tls) = (client.cancel_token(), self.tls.clone());
        if let Ok(runtime) = Handle::try_current() {
            runtime.spawn(async move {
                let _ = tokio::time::timeout(CANCELLING, token.cancel_query(tls)).await;
            });
        }
    }
}
