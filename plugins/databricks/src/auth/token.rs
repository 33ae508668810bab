//! A token, and the cache that renews it: before it ends, and once, however many requests need it.

use std::sync::{PoisonError, RwLock};
use std::time::{Duration, Instant, SystemTime};

use http::header::AUTHORIZATION;
use http::{HeaderMap, HeaderName};
use mlflow_deploy_http::{Credentials, secret_header};
use mlflow_deploy_plugin_api::{Error, ErrorCode, Result, Secret, call};
use tokio::sync::Mutex;

/// A token is not used in the last seconds of its life: Azure refuses it then, and a request takes its time.
const MARGIN: Duration = Duration::from_secs(40);

/// The longest time before its end in which a token is renewed though it is still good.
const EARLY: Duration = Duration::from_secs(20 * 60);

/// How long a token that is still good is used after it could not be renewed.
const PAUSE: Duration = Duration::from_secs(60);

/// What goes with every request, and how long it is good for.
#[derive(Clone, Debug)]
pub(crate) struct Token {
    pub(crate) credentials: Credentials,
    /// Headers beside `Authorization`.
    pub(crate) headers: Vec<(HeaderName, Secret)>,
    /// When it ends; `None` where it does not.
    pub(crate) expires: Option<SystemTime>,
}

impl Token {
    pub(crate) fn new(credentials: Credentials) -> Self {
        Self { credentials, headers: Vec::new(), expires: None }
    }

    /// The token with its end: so many seconds after a time. One that is too late for any clock is no end.
    pub(super) fn until(self, start: SystemTime, seconds: u64) -> Self {
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

/// The token that is in use.
#[derive(Debug, Default)]
pub(crate) struct Tokens {
    current: RwLock<Option<Current>>,
    /// Held by whoever renews; in it, the last renewal that failed.
    renewal: Mutex<Option<(Instant, Error)>>,
}

#[derive(Clone, Debug)]
struct Current {
    headers: HeaderMap,
    /// From when on a new one is asked for.
    renew: Option<SystemTime>,
    /// From when on it is not used.
    end: Option<SystemTime>,
}

/// What is known of the token at this moment.
enum State {
    Ended,
    Good(HeaderMap),
    GoodForNow(HeaderMap),
}

impl Tokens {
    /// The headers of the token, which `renew` gets where it is missing, has ended, or is about to.
    ///
    /// Near its end one request renews it, and the others go on with it. After its end one request renews it, and the
    /// others wait for what comes of that.
    pub(crate) async fn headers<F: Future<Output = Result<Token>> + Send>(
        &self,
        renew: impl FnOnce() -> F + Send,
    ) -> Result<HeaderMap> {
        match self.state() {
            State::Good(headers) => Ok(headers),
            State::GoodForNow(headers) => {
                let Ok(_renewing) = self.renewal.try_lock() else { return Ok(headers) };
                if let State::Good(headers) = self.state() {
                    return Ok(headers);
                }
                match renew().await.and_then(|token| self.keep(token)) {
                    Ok(headers) => Ok(headers),
                    Err(error) => {
                        call::warn(format!("the token could not be renewed, and is used while it is good: {error}"));
                        self.pause();
                        Ok(headers)
                    }
                }
            }
            State::Ended => {
                let asked = Instant::now();
                let mut failure = self.renewal.lock().await;
                if let State::Good(headers) | State::GoodForNow(headers) = self.state() {
                    return Ok(headers);
                }
                if let Some((when, error)) = &*failure
                    && *when > asked
                {
                    return Err(error.clone());
                }
                let renewed = renew().await.and_then(|token| self.keep(token));
                // That one request ran out of time says nothing of the others.
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

    fn state(&self) -> State {
        let current = self.current.read().unwrap_or_else(PoisonError::into_inner);
        let now = SystemTime::now();
        let has_come = |time: Option<SystemTime>| time.is_some_and(|time| time <= now);
        match &*current {
            Some(current) if !has_come(current.renew) => State::Good(current.headers.clone()),
            Some(current) if !has_come(current.end) => State::GoodForNow(current.headers.clone()),
            _ => State::Ended,
        }
    }

    fn keep(&self, token: Token) -> Result<HeaderMap> {
        let now = SystemTime::now();
        let expires = token.expires;
        let before_end = |time: fn(Duration) -> Duration| {
            let expires = expires?;
            // One that has ended already has no life, and nothing is taken from it.
            Some(expires - time(expires.duration_since(now).unwrap_or_default()))
        };
        let current = Current {
            headers: token.into_headers()?,
            renew: before_end(|life| EARLY.min(life / 2)),
            end: before_end(|life| MARGIN.min(life / 2)),
        };
        let headers = current.headers.clone();
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = Some(current);
        Ok(headers)
    }

    fn pause(&self) {
        if let Some(current) = &mut *self.current.write().unwrap_or_else(PoisonError::into_inner) {
            let renew = SystemTime::now() + PAUSE;
            current.renew = Some(current.end.map_or(renew, |end| renew.min(end)));
        }
    }

    /// Lets the time pass that the token is to be renewed at, or is good for.
    #[cfg(test)]
    pub(crate) fn age(&self, to_its_end: bool) {
        let mut current = self.current.write().unwrap();
        let current = current.as_mut().expect("a token");
        current.renew = Some(SystemTime::UNIX_EPOCH);
        current.end = if to_its_end { current.renew } else { current.end };
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    fn token(text: &str, life: Option<u64>) -> Token {
        let expires = life.map(|life| SystemTime::now() + Duration::from_secs(life));
        Token { expires, ..Token::new(Credentials::Bearer(Secret::new(text))) }
    }

    async fn bearer(tokens: &Tokens, renewed: Result<Token>) -> Result<String> {
        let headers = tokens.headers(|| async { renewed }).await?;
        Ok(headers[AUTHORIZATION].to_str().unwrap().to_owned())
    }

    #[tokio::test]
    async fn a_token_is_kept_until_it_is_time() {
        let tokens = Tokens::default();
        assert_eq!(bearer(&tokens, Ok(token("1", Some(3600)))).await.unwrap(), "Bearer 1");
        assert_eq!(bearer(&tokens, Ok(token("2", None))).await.unwrap(), "Bearer 1");
        tokens.age(false);
        assert_eq!(bearer(&tokens, Ok(token("3", None))).await.unwrap(), "Bearer 3");
        assert_eq!(bearer(&tokens, Ok(token("4", None))).await.unwrap(), "Bearer 3");
    }

    #[tokio::test]
    async fn a_good_token_outlives_a_failed_renewal() {
        let tokens = Tokens::default();
        bearer(&tokens, Ok(token("1", Some(3600)))).await.unwrap();
        tokens.age(false);
        assert_eq!(bearer(&tokens, Err(Error::internal("no"))).await.unwrap(), "Bearer 1");
        assert_eq!(bearer(&tokens, Ok(token("2", None))).await.unwrap(), "Bearer 1", "there is a pause");
        tokens.age(true);
        bearer(&tokens, Err(Error::internal("no"))).await.unwrap_err();
        assert_eq!(bearer(&tokens, Ok(token("3", None))).await.unwrap(), "Bearer 3");
    }

    #[tokio::test]
    async fn near_its_end_one_renews_and_the_others_go_on() {
        let tokens = Tokens::default();
        bearer(&tokens, Ok(token("1", Some(3600)))).await.unwrap();
        tokens.age(false);
        let slow = tokens.headers(|| async {
            assert_eq!(bearer(&tokens, Ok(token("3", None))).await.unwrap(), "Bearer 1");
            Ok(token("2", None))
        });
        assert_eq!(slow.await.unwrap()[AUTHORIZATION], "Bearer 2");
    }

    #[tokio::test]
    async fn those_who_waited_share_what_came_of_it() {
        let tokens = Tokens::default();
        let asked = AtomicUsize::new(0);
        let renew = |answer: Result<Token>| {
            let asked = &asked;
            move || async move {
                asked.fetch_add(1, Ordering::Relaxed);
                tokio::task::yield_now().await;
                answer
            }
        };
        let failure = || Err(Error::internal("no"));
        let both = tokio::join!(tokens.headers(renew(failure())), tokens.headers(renew(failure())));
        assert!(both.0.is_err() && both.1.is_err());
        assert_eq!(asked.swap(0, Ordering::Relaxed), 1);
        let good = || Ok(token("1", Some(1)));
        let both = tokio::join!(tokens.headers(renew(good())), tokens.headers(renew(good())));
        assert!(both.0.is_ok() && both.1.is_ok());
        assert_eq!(asked.load(Ordering::Relaxed), 1);
    }

    #[tokio::test]
    async fn a_renewal_that_is_given_up_is_taken_over() {
        let tokens = Tokens::default();
        {
            let given_up = tokens.headers(std::future::pending);
            tokio::select! { biased; _ = given_up => {}, () = std::future::ready(()) => {} }
        }
        assert_eq!(bearer(&tokens, Ok(token("1", None))).await.unwrap(), "Bearer 1");
    }
}
