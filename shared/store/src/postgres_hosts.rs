//! Several hosts in one URL, as every PostgreSQL client library takes them:
//! `postgres://user@a:5432,b:5432/db?target_session_attrs=read-write`.

use sqlx::postgres::PgConnectOptions;

use crate::error::StoreError;

/// Reads a URL: one target for each host, in their order. Only a primary is of use, so
/// `target_session_attrs` may ask for nothing else.
///
/// # Errors
/// [`StoreError::Refused`] when it is wrong.
pub(super) fn targets(url: &str) -> Result<Vec<PgConnectOptions>, StoreError> {
    let wrong = |text: String| StoreError::Refused(text);
    let (scheme, rest) = url.split_once("://").ok_or_else(|| wrong("no scheme".into()))?;
    let (place, query) = rest.split_once('?').unwrap_or((rest, ""));
    let (authority, path) = place.split_once('/').unwrap_or((place, ""));
    let (user, hosts) = match authority.rsplit_once('@') {
        Some((user, hosts)) => (format!("{user}@"), hosts),
        None => (String::new(), authority),
    };
    let (wanted, kept): (Vec<&str>, Vec<&str>) = query
        .split('&')
        .filter(|pair| !pair.is_empty())
        .partition(|pair| pair.starts_with("target_session_attrs="));
    for pair in wanted {
        let value = pair.split_once('=').map_or("", |(_, value)| value);
        if !["any", "read-write", "primary"].contains(&value) {
            let text = format!("target_session_attrs={value}: only a primary can be written to");
            return Err(wrong(text));
        }
    }
    let target = |host: &str| {
        let url = format!("{scheme}://{user}{host}/{path}?{}", kept.join("&"));
        url.parse().map_err(|error: sqlx::Error| StoreError::Refused(error.to_string()))
    };
    hosts.split(',').map(target).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_host_is_a_target_and_the_rest_is_shared() {
        let url =
            "postgres://me:p%40ss@a:1,b,[::1]:3/db?target_session_attrs=read-write&sslmode=disable";
        let targets = targets(url).unwrap();
        let hosts: Vec<_> = targets.iter().map(|t| (t.get_host(), t.get_port())).collect();
        assert_eq!(hosts[..2], [("a", 1), ("b", 5432)]);
        assert_eq!(targets.len(), 3);
        assert!(targets.iter().all(|target| target.get_database() == Some("db")));
    }

    #[test]
    fn a_standby_cannot_be_asked_for() {
        let asked = targets("postgres://a/db?target_session_attrs=standby");
        assert!(matches!(asked, Err(StoreError::Refused(_))));
    }
}
