//! Access tokens, and a cache that renews a token before it expires. Only one request renews it at a time.

use std::sync::{Mutex, MutexGuard};
use std::time::{Duration, Instant, SystemTime};

use http::header::AUTHORIZATION;
use http::{HeaderMap, HeaderName, HeaderValue};
use mlflow_deploy_http::{Credentials, secret_header};
use mlflow_deploy_plugin_api::{Error, ErrorCode, Result, Secret, call, sync};

/// The last part of a token's lifetime, in which the token is not used. Azure rejects a token that expires so soon, and
/// a request takes time.
const EXPIRY_MARGIN: Duration = Duration::from_secs(40);

/// The maximum time between the planned renewal of a token and its expiry.
const MAX_RENEWAL_LEAD: Duration = Duration::from_secs(20 * 60);

/// The time until the next attempt after a failed renewal, while the token is still valid.
const RETRY_PAUSE: Duration = Duration::from_secs(60);

/// The credentials that authorize a request, and the time at which they expire.
#[derive(Clone, Debug)]
pub(crate) struct Token {
    pub(crate) credentials: Credentials,
    /// The headers that a request needs in addition to `Authorization`.
    pub(crate) headers: Vec<(HeaderName, Secret)>,
    /// The time at which the token expires; `None` for a token that does not expire.
    pub(crate) expires: Option<SystemTime>,
}

impl Token {
    pub(crate) fn new(credentials: Credentials) -> Self {
        Self { credentials, headers: Vec::new(), expires: None }
    }

    /// Sets the expiry to `seconds` after `start`. If the clock cannot represent that time, the token does not expire.
    pub(super) fn expires_after(self, start: SystemTime, seconds: u64) -> Self {
        Self { expires: start.checked_add(Duration::from_secs(seconds)), ..self }
    }

    fn into_headers(self) -> Result<HeaderMap> {
        let mut headers = HeaderMap::from_iter([(AUTHORIZATION, self.credentials.header()?)]);
        for (name, secret) in self.headers {
            let value = secret_header(name.as_str(), &secret)?;
            headers.insert(name, value);
        }
        Ok(headers)
    }
}

/// A point in time on two clocks. It has passed as soon as it has passed on one of them. Two clocks are needed because
/// the system clock can be set back, and the monotonic clock may stop while the machine sleeps.
#[derive(Clone, Copy, Debug)]
struct ClockTime {
    system: SystemTime,
    monotonic: Instant,
}

impl ClockTime {
    fn now() -> Self {
        Self { system: SystemTime::now(), monotonic: Instant::now() }
    }

    /// Returns this time plus a duration; `None` if the clocks cannot represent the result.
    fn after(self, duration: Duration) -> Option<Self> {
        let (system, monotonic) = (self.system.checked_add(duration)?, self.monotonic.checked_add(duration)?);
        Some(Self { system, monotonic })
    }

    fn has_passed(self, now: Self) -> bool {
        self.system <= now.system || self.monotonic <= now.monotonic
    }
}

/// The current token of a client, and the state of its renewal.
#[derive(Debug, Default)]
pub(crate) struct TokenCache {
    current: Mutex<Option<CachedToken>>,
    /// The lock that a request holds while it renews the token. It contains the time and the error of the last renewal,
    /// if that renewal failed.
    renewal: tokio::sync::Mutex<Option<(Instant, Error)>>,
}

#[derive(Clone, Debug)]
struct CachedToken {
    headers: HeaderMap,
    /// The time at which the token should be renewed; `None` if the token does not expire.
    renew_at: Option<ClockTime>,
    /// The time from which the token must not be used; `None` if the token does not expire.
    unusable_at: Option<ClockTime>,
    /// True if the server rejected the token.
    is_rejected: bool,
    /// True if the token replaced one that the server had rejected.
    replaced_rejected: bool,
}

/// The state of the cached token.
enum State {
    /// The cache has no token, or only one that must not be used.
    Expired,
    /// The headers of a token that does not need to be renewed.
    Fresh(HeaderMap),
    /// The headers of a valid token that should be renewed.
    Stale(HeaderMap),
}

impl TokenCache {
    /// Returns the headers of the token. Calls `renew` if the token is missing, expired or close to its expiry.
    ///
    /// Close to the expiry, one request renews the token while other requests use the old one. After the expiry, one
    /// request renews the token while other requests wait for the new one.
    pub(crate) async fn headers<F: Future<Output = Result<Token>> + Send>(
        &self,
        renew: impl FnOnce() -> F + Send,
    ) -> Result<HeaderMap> {
        match self.state(ClockTime::now()) {
            State::Fresh(headers) => Ok(headers),
            State::Stale(headers) => {
                let Ok(_renewing) = self.renewal.try_lock() else { return Ok(headers) };
                if let State::Fresh(headers) = self.state(ClockTime::now()) {
                    return Ok(headers);
                }
                match renew().await.and_then(|token| self.store(token, ClockTime::now())) {
                    Ok(headers) => Ok(headers),
                    Err(error) => {
                        call::warn(format!("failed to renew the token, using the old one until it expires: {error}"));
                        self.postpone_renewal();
                        Ok(headers)
                    }
                }
            }
            State::Expired => {
                let requested = Instant::now();
                let mut failure = self.renewal.lock().await;
                if let State::Fresh(headers) | State::Stale(headers) = self.state(ClockTime::now()) {
                    return Ok(headers);
                }
                if let Some((when, error)) = &*failure
                    && *when > requested
                {
                    return Err(error.clone());
                }
                let renewed = renew().await.and_then(|token| self.store(token, ClockTime::now()));
                // A missed deadline is not stored: it is the deadline of this request only, and another one may have
                // more time.
                *failure = match &renewed {
                    Err(error) if *error.code() != ErrorCode::DEADLINE_EXCEEDED => {
                        Some((Instant::now(), error.clone()))
                    }
                    _ => None,
                };
                renewed
            }
        }
    }

    /// Discards the token that the server rejected. `sent` is the `Authorization` header that was sent. Returns true if
    /// the request should be sent again with the headers of a new token.
    ///
    /// A token that does not expire is kept. A token that replaced a rejected one is also kept, so that a second
    /// rejection is final until the next regular renewal.
    pub(crate) fn reject(&self, sent: &HeaderValue) -> bool {
        let mut current = self.lock();
        let Some(token) = &mut *current else { return false };
        if token.headers.get(AUTHORIZATION) != Some(sent) {
            // Another request has renewed the token since.
            return true;
        }
        if token.unusable_at.is_none() || token.replaced_rejected {
            return false;
        }
        token.is_rejected = true;
        true
    }

    fn state(&self, now: ClockTime) -> State {
        let has_passed = |time: Option<ClockTime>| time.is_some_and(|time| time.has_passed(now));
        match &*self.lock() {
            Some(token) if token.is_rejected || has_passed(token.unusable_at) => State::Expired,
            Some(token) if has_passed(token.renew_at) => State::Stale(token.headers.clone()),
            Some(token) => State::Fresh(token.headers.clone()),
            None => State::Expired,
        }
    }

    fn store(&self, token: Token, now: ClockTime) -> Result<HeaderMap> {
        // Zero if the token has expired already.
        let lifetime = token.expires.map(|expires| expires.duration_since(now.system).unwrap_or_default());
        let before_expiry = |lead: Duration| lifetime.and_then(|lifetime| now.after(lifetime - lead.min(lifetime / 2)));
        let headers = token.into_headers()?;
        let mut current = self.lock();
        *current = Some(CachedToken {
            headers: headers.clone(),
            renew_at: before_expiry(MAX_RENEWAL_LEAD),
            unusable_at: before_expiry(EXPIRY_MARGIN),
            is_rejected: false,
            replaced_rejected: current.as_ref().is_some_and(|old| old.is_rejected),
        });
        Ok(headers)
    }

    fn postpone_renewal(&self) {
        if let Some(token) = &mut *self.lock() {
            token.renew_at = ClockTime::now().after(RETRY_PAUSE);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Option<CachedToken>> {
        sync::lock(&self.current)
    }

    /// Makes the token due for renewal. Makes it expired as well if `is_expired` is true.
    #[cfg(test)]
    pub(crate) fn age(&self, is_expired: bool) {
        let mut current = self.lock();
        let token = current.as_mut().expect("a token");
        token.renew_at = Some(ClockTime::now());
        token.unusable_at = if is_expired { token.renew_at } else { token.unusable_at };
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    const LIFETIME: Duration = Duration::from_secs(3600);

    fn token(text: &str, lifetime: Option<u64>) -> Token {
        let expires = lifetime.map(|lifetime| SystemTime::now() + Duration::from_secs(lifetime));
        Token { expires, ..Token::new(Credentials::Bearer(Secret::new(text))) }
    }

    async fn bearer(cache: &TokenCache, renewed: Result<Token>) -> Result<String> {
        let headers = cache.headers(|| async { renewed }).await?;
        Ok(headers[AUTHORIZATION].to_str().unwrap().to_owned())
    }

    #[tokio::test]
    async fn a_token_is_used_until_its_renewal_is_due() {
        let cache = TokenCache::default();
        assert_eq!(bearer(&cache, Ok(token("1", Some(3600)))).await.unwrap(), "Bearer 1");
        assert_eq!(bearer(&cache, Ok(token("2", None))).await.unwrap(), "Bearer 1");
        cache.age(false);
        assert_eq!(bearer(&cache, Ok(token("3", None))).await.unwrap(), "Bearer 3");
        assert_eq!(bearer(&cache, Ok(token("4", None))).await.unwrap(), "Bearer 3");
    }

    #[test]
    fn a_token_expires_by_the_clock_that_is_ahead() {
        let cache = TokenCache::default();
        let now = ClockTime::now();
        let ClockTime { system, monotonic } = now;
        cache.store(Token { expires: Some(system + LIFETIME), ..token("1", None) }, now).unwrap();
        let state = |system: SystemTime, monotonic: Instant| match cache.state(ClockTime { system, monotonic }) {
            State::Expired => "expired",
            State::Fresh(_) => "fresh",
            State::Stale(_) => "stale",
        };
        let day = Duration::from_secs(24 * 3600);
        assert_eq!(state(system, monotonic), "fresh");
        assert_eq!(state(system - day, monotonic), "fresh", "the clock was set back");
        assert_eq!(state(system - day, monotonic + LIFETIME / 2), "fresh");
        assert_eq!(state(system - day, monotonic + LIFETIME - MAX_RENEWAL_LEAD), "stale");
        assert_eq!(state(system - day, monotonic + LIFETIME - EXPIRY_MARGIN), "expired");
        assert_eq!(state(system + LIFETIME - MAX_RENEWAL_LEAD, monotonic), "stale", "the machine slept");
        assert_eq!(state(system + LIFETIME - EXPIRY_MARGIN, monotonic), "expired");
    }

    #[tokio::test]
    async fn a_rejected_token_is_renewed_once() {
        let cache = TokenCache::default();
        let header = |text: &str| Credentials::Bearer(Secret::new(text)).header().unwrap();
        assert!(!cache.reject(&header("0")), "without a token");
        bearer(&cache, Ok(token("1", Some(3600)))).await.unwrap();
        assert!(cache.reject(&header("0")), "another request has renewed the token");
        assert_eq!(bearer(&cache, Ok(token("2", None))).await.unwrap(), "Bearer 1");
        assert!(cache.reject(&header("1")));
        assert_eq!(bearer(&cache, Ok(token("2", Some(3600)))).await.unwrap(), "Bearer 2");
        assert!(!cache.reject(&header("2")), "a second rejection is final");
        assert_eq!(bearer(&cache, Ok(token("3", None))).await.unwrap(), "Bearer 2");
        cache.age(true);
        assert_eq!(bearer(&cache, Ok(token("3", None))).await.unwrap(), "Bearer 3");
        assert!(!cache.reject(&header("3")), "it does not expire");
    }

    #[tokio::test]
    async fn a_valid_token_is_used_after_a_failed_renewal() {
        let cache = TokenCache::default();
        bearer(&cache, Ok(token("1", Some(3600)))).await.unwrap();
        cache.age(false);
        assert_eq!(bearer(&cache, Err(Error::internal("no"))).await.unwrap(), "Bearer 1");
        assert_eq!(bearer(&cache, Ok(token("2", None))).await.unwrap(), "Bearer 1", "the next renewal is postponed");
        cache.age(true);
        bearer(&cache, Err(Error::internal("no"))).await.unwrap_err();
        assert_eq!(bearer(&cache, Ok(token("3", None))).await.unwrap(), "Bearer 3");
    }

    #[tokio::test]
    async fn close_to_the_expiry_one_request_renews_the_token() {
        let cache = TokenCache::default();
        bearer(&cache, Ok(token("1", Some(3600)))).await.unwrap();
        cache.age(false);
        let slow = cache.headers(|| async {
            assert_eq!(bearer(&cache, Ok(token("3", None))).await.unwrap(), "Bearer 1");
            Ok(token("2", None))
        });
        assert_eq!(slow.await.unwrap()[AUTHORIZATION], "Bearer 2");
    }

    #[tokio::test]
    async fn concurrent_requests_share_one_renewal() {
        let cache = TokenCache::default();
        let renewals = AtomicUsize::new(0);
        let renew = |result: Result<Token>| {
            let renewals = &renewals;
            move || async move {
                renewals.fetch_add(1, Ordering::Relaxed);
                tokio::task::yield_now().await;
                result
            }
        };
        let failure = || Err(Error::internal("no"));
        let both = tokio::join!(cache.headers(renew(failure())), cache.headers(renew(failure())));
        assert!(both.0.is_err() && both.1.is_err());
        assert_eq!(renewals.swap(0, Ordering::Relaxed), 1);
        let good = || Ok(token("1", Some(1)));
        let both = tokio::join!(cache.headers(renew(good())), cache.headers(renew(good())));
        assert!(both.0.is_ok() && both.1.is_ok());
        assert_eq!(renewals.load(Ordering::Relaxed), 1);
    }

    #[tokio::test]
    async fn a_cancelled_renewal_is_repeated_by_the_next_request() {
        let cache = TokenCache::default();
        {
            let cancelled = cache.headers(std::future::pending);
            tokio::select! { biased; _ = cancelled => {}, () = std::future::ready(()) => {} }
        }
        assert_eq!(bearer(&cache, Ok(token("1", None))).await.unwrap(), "Bearer 1");
    }
}
