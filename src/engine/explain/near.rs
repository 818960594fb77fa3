//! Why a path that no route matches misses the path of a route that looks like it.

use crate::config::words::nearest;

/// How many routes are named at most.
pub const MOST: usize = 5;

/// How a path misses the path of a route, the closest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Distance {
    Slash,
    Case,
    Segment,
    Below,
    Above,
}

/// How far a path is from that of a route.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Miss {
    distance: Distance,
    /// Negative, so that the longest common beginning comes first.
    common: isize,
    pub because: String,
}

/// Why `template` does not match `path`. `None` if they have little in common. Both are in normal form; `is_prefix` is
/// whether the template is that of a prefix.
pub fn miss(template: &str, is_prefix: bool, path: &str) -> Option<Miss> {
    let (mut wanted, ends_in_slash) = segments(template);
    let (given, given_ends_in_slash) = segments(path);
    let rest = wanted.last().is_some_and(|segment| segment.starts_with("{*")).then(|| wanted.pop()).flatten();
    let pairs = || wanted.iter().copied().zip(given.iter().copied());
    let common = pairs().take_while(|(wanted, given)| fits(wanted, given)).count();
    let literal = pairs().take(common).any(|(wanted, _)| !wanted.starts_with('{'));
    let misses: Vec<(&str, &str)> = pairs().filter(|(wanted, given)| !fits(wanted, given)).collect();
    let same_length = wanted.len() == given.len() || (rest.is_some() && wanted.len() < given.len());
    let shown = if is_prefix { template.trim_end_matches("{*rest}").to_owned() + "**" } else { template.to_owned() };
    let (distance, because) = match misses.as_slice() {
        [] if same_length && literal && rest.is_some() => {
            (Distance::Slash, format!("it matches only paths below `{}`", path.trim_end_matches('/')))
        }
        [] if same_length && literal && ends_in_slash != given_ends_in_slash => {
            let ends = if ends_in_slash { "ends with a slash" } else { "does not end with a slash" };
            (Distance::Slash, format!("its path `{shown}` {ends}"))
        }
        misses if same_length && misses.iter().all(|(wanted, given)| wanted.eq_ignore_ascii_case(given)) => {
            match misses {
                [] => return None,
                _ => (Distance::Case, format!("its path `{shown}` differs in upper and lower case")),
            }
        }
        [(wanted, given)] if same_length && nearest(given, &[wanted]).is_some() => {
            (Distance::Segment, format!("its path `{shown}` has `{wanted}`, not `{given}`"))
        }
        [] if literal && rest.is_none() && wanted.len() < given.len() => {
            (Distance::Below, format!("it matches only `{shown}`, not the paths below it"))
        }
        [] if literal && wanted.len() > given.len() => {
            (Distance::Above, format!("its path `{shown}` has more segments"))
        }
        _ => return None,
    };
    Some(Miss { distance, common: -isize::try_from(common).unwrap_or(isize::MAX), because })
}

/// The segments of a path without its trailing slash, and whether it has one.
fn segments(path: &str) -> (Vec<&str>, bool) {
    let path = path.strip_prefix('/').unwrap_or(path);
    let trimmed = path.strip_suffix('/');
    let inner = trimmed.unwrap_or(path);
    (if inner.is_empty() { Vec::new() } else { inner.split('/').collect() }, trimmed.is_some())
}

fn fits(wanted: &str, given: &str) -> bool {
    wanted == given || wanted.starts_with('{')
}

#[cfg(test)]
mod tests {
    use super::miss;

    #[test]
    fn a_near_miss_is_explained() {
        for (template, path, because) in [
            ("/users", "/users/", "its path `/users` does not end with a slash"),
            ("/users/{id}/", "/users/7", "its path `/users/{id}/` ends with a slash"),
            ("/files/{*rest}", "/files", "it matches only paths below `/files`"),
            ("/Users/{id}", "/users/7", "its path `/Users/{id}` differs in upper and lower case"),
            ("/api/users", "/api/usres", "its path `/api/users` has `users`, not `usres`"),
            ("/users", "/users/7", "it matches only `/users`, not the paths below it"),
            ("/api/users/{id}", "/api", "its path `/api/users/{id}` has more segments"),
        ] {
            assert_eq!(miss(template, false, path).map(|miss| miss.because).as_deref(), Some(because), "{path}");
        }
        let prefix = miss("/orders/{*rest}", true, "/order/7").map(|miss| miss.because);
        assert_eq!(prefix.as_deref(), Some("its path `/orders/**` has `orders`, not `order`"));
    }

    #[test]
    fn paths_with_little_in_common_are_no_near_miss() {
        for (template, path) in [
            ("/users", "/"),
            ("/", "/users"),
            ("/{id}", "/users/7"),
            ("/users", "/orders"),
            ("/api/users/{id}", "/v1/orders/7"),
        ] {
            assert_eq!(miss(template, false, path), None, "{template} {path}");
        }
    }

    #[test]
    fn the_closest_comes_first() {
        let misses = |templates: [&'static str; 3]| {
            let mut misses: Vec<_> = templates.map(|template| (miss(template, false, "/api/users/"), template)).into();
            misses.sort();
            misses.into_iter().map(|(_, template)| template).collect::<Vec<_>>()
        };
        assert_eq!(misses(["/api", "/api/user", "/api/users"]), ["/api/users", "/api/user", "/api"]);
    }
}
