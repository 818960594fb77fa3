//! The shape of a path: what it is apart from the names of its parameters.

/// `/orders/{id}` and `/orders/{orderId}` have the shape `/orders/{}`: they are the same path.
pub fn shape(path: &str) -> String {
    let mut shape = String::with_capacity(path.len());
    let mut pieces = path.split('{');
    shape.push_str(pieces.next().unwrap_or_default());
    for piece in pieces {
        shape.push('{');
        match piece.split_once('}') {
            Some((_, rest)) => {
                shape.push('}');
                shape.push_str(rest);
            }
            None => shape.push_str(piece),
        }
    }
    shape
}

/// The names in braces of a path.
pub fn names(path: &str) -> impl Iterator<Item = &str> {
    path.split('{').skip(1).filter_map(|rest| Some(rest.split_once('}')?.0))
}
