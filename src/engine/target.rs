//! What answers at the end of a chain, beside resources and upstreams: fixed answers and redirects.

mod redirect;
mod respond;

pub use redirect::redirect;
pub use respond::respond;
