//! Decides when the next request may be sent, for all requests together. Sends nothing and keeps no time itself.

use std::time::{Duration, Instant};

/// The smallest number of answers from which a rate of throttled requests is judged.
const MIN_WINDOW: usize = 32;

/// The number of accepted requests during a pause that shows that the pause was not needed.
const MIN_EVIDENCE: usize = 8;

/// The number of pauses in a row that were not needed, after which a throttled request waits alone.
const MAX_NEEDLESS: u32 = 2;

/// The maximum time that all requests wait. After it, one more attempt shows if the target still asks to wait.
const MAX_PAUSE: Duration = Duration::from_secs(60 * 60);

/// The answer of [`Limiter::next`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// A request may be sent at this time.
    At(Instant),
    /// As many requests are in flight as allowed: wait for an answer.
    Full,
    /// A request may be sent.
    Now,
}

/// The part of an answer that matters to the limiter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Signal {
    /// The target has handled the request, with success or not.
    Accepted,
    /// The target has refused the request because of its load. It may have said how long to wait.
    Throttled(Option<Duration>),
}

/// The number of requests that may be in flight, the rate, and the pause that all requests share.
///
/// The number grows by one with each window of answers, and is halved if more than a quarter of a window were throttled.
/// A throttled request that says how long to wait pauses all requests for that time. If two pauses in a row turn out not
/// to be needed, because the target has accepted nearly all requests that were sent before the pause, then the target
/// throttles single requests: from then on such a request waits alone, until a quarter of a window are throttled again.
#[derive(Debug)]
pub(super) struct Limiter {
    max: usize,
    limit: usize,
    interval: Option<Duration>,
    next_start: Option<Instant>,
    window: Window,
    pause: Option<Pause>,
    needless: u32,
}

/// The answers to requests that were sent under the current limit.
#[derive(Debug)]
struct Window {
    since: Option<Instant>,
    answers: usize,
    throttled: usize,
}

/// A pause, and the answers that arrive after its start to requests that were sent before.
#[derive(Clone, Copy, Debug)]
struct Pause {
    since: Instant,
    until: Instant,
    accepted: usize,
    throttled: usize,
}

impl Limiter {
    /// Returns a limiter of at most `max` requests in flight, and of `rate` requests a second.
    pub(super) fn new(max: usize, rate: Option<f64>) -> Self {
        let interval = rate.and_then(|rate| Duration::try_from_secs_f64(1.0 / rate).ok());
        let window = Window { since: None, answers: 0, throttled: 0 };
        Self { max, limit: max, interval, next_start: None, window, pause: None, needless: 0 }
    }

    /// Returns the number of requests that may be in flight.
    pub(super) fn limit(&self) -> usize {
        self.limit
    }

    /// Returns the rest of the pause that all requests share; `None` if there is no pause.
    pub(super) fn pause(&self, now: Instant) -> Option<Duration> {
        self.pause.map(|pause| pause.until.saturating_duration_since(now)).filter(|rest| !rest.is_zero())
    }

    /// Decides if another request may be sent.
    pub(super) fn next(&self, now: Instant, in_flight: usize) -> Next {
        if in_flight >= self.limit {
            return Next::Full;
        }
        let ends = [self.pause.map(|pause| pause.until), self.next_start];
        match ends.into_iter().flatten().filter(|end| *end > now).max() {
            Some(end) => Next::At(end),
            None => Next::Now,
        }
    }

    /// Records that a request is sent now.
    pub(super) fn sent(&mut self, now: Instant) {
        self.next_start = self.interval.map(|interval| {
            // Keeps the rhythm if the timer is late, but does not catch up after an idle time.
            let due = self.next_start.filter(|due| *due + interval > now).unwrap_or(now);
            due + interval
        });
    }

    /// Records the answer to a request that was sent at the time `sent`.
    pub(super) fn answered(&mut self, now: Instant, sent: Instant, signal: Signal) {
        self.judge_pause(now);
        let is_throttled = matches!(signal, Signal::Throttled(_));
        if let Some(pause) = self.pause.as_mut().filter(|pause| sent <= pause.since) {
            pause.accepted += usize::from(!is_throttled);
            pause.throttled += usize::from(is_throttled);
        }
        self.count(now, sent, is_throttled);
        if let Signal::Throttled(Some(wait)) = signal
            && self.needless < MAX_NEEDLESS
        {
            let until = now + wait.min(MAX_PAUSE);
            match &mut self.pause {
                Some(pause) => pause.until = pause.until.max(until),
                none => *none = Some(Pause { since: now, until, accepted: 0, throttled: 0 }),
            }
        }
    }

    fn count(&mut self, now: Instant, sent: Instant, is_throttled: bool) {
        let window = &mut self.window;
        // The target was asked with the earlier limit.
        if window.since.is_some_and(|since| sent < since) {
            return;
        }
        window.answers += 1;
        window.throttled += usize::from(is_throttled);
        let size = self.limit.max(MIN_WINDOW);
        if window.throttled * 4 > size {
            self.limit = (self.limit / 2).max(1);
            self.window = Window { since: Some(now), answers: 0, throttled: 0 };
            self.needless = 0;
        } else if window.answers >= size {
            self.limit = (self.limit + 1).min(self.max);
            self.window = Window { answers: 0, throttled: 0, ..*window };
        }
    }

    /// Ends a pause whose time is over, and judges if it was needed.
    fn judge_pause(&mut self, now: Instant) {
        let Some(pause) = self.pause.filter(|pause| pause.until <= now) else { return };
        self.pause = None;
        let is_needless = pause.accepted >= MIN_EVIDENCE && pause.throttled * 4 <= pause.accepted;
        self.needless = if is_needless { self.needless + 1 } else { 0 };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn a_throttled_request_pauses_all_requests() {
        let start = Instant::now();
        let mut limiter = Limiter::new(4, None);
        assert_eq!((limiter.next(start, 3), limiter.next(start, 4)), (Next::Now, Next::Full));
        limiter.answered(start, start, Signal::Throttled(Some(100 * MS)));
        limiter.answered(start + MS, start, Signal::Throttled(Some(50 * MS)));
        assert_eq!(limiter.next(start + 2 * MS, 0), Next::At(start + 100 * MS), "the longer wait counts");
        assert_eq!(limiter.pause(start + 40 * MS), Some(60 * MS));
        assert_eq!(limiter.next(start + 100 * MS, 0), Next::Now);
        limiter.answered(start + 101 * MS, start + 100 * MS, Signal::Throttled(None));
        assert_eq!(limiter.next(start + 101 * MS, 0), Next::Now);
    }

    #[test]
    fn a_pause_has_a_limit() {
        let start = Instant::now();
        let mut limiter = Limiter::new(1, None);
        limiter.answered(start, start, Signal::Throttled(Some(Duration::MAX)));
        assert_eq!(limiter.next(start, 0), Next::At(start + MAX_PAUSE));
    }

    #[test]
    fn the_limit_is_halved_by_many_throttled_requests_and_grows_by_one() {
        let start = Instant::now();
        let mut limiter = Limiter::new(64, None);
        let mut now = start;
        let mut answer = |limiter: &mut Limiter, signal: Signal| {
            now += MS;
            limiter.answered(now, now, signal);
        };
        (0..16).for_each(|_| answer(&mut limiter, Signal::Throttled(None)));
        assert_eq!(limiter.limit(), 64);
        answer(&mut limiter, Signal::Throttled(None));
        assert_eq!(limiter.limit(), 32);
        // Answers to requests that were sent before the limit was halved do not halve it again.
        (0..64).for_each(|_| limiter.answered(start + Duration::from_secs(9), start, Signal::Throttled(None)));
        assert_eq!(limiter.limit(), 32);
        let mut limits = Vec::new();
        for _ in 0..3 {
            (0..limiter.limit()).for_each(|_| answer(&mut limiter, Signal::Accepted));
            limits.push(limiter.limit());
        }
        assert_eq!(limits, [33, 34, 35]);
        (0..1_000).for_each(|_| answer(&mut limiter, Signal::Throttled(None)));
        assert_eq!(limiter.limit(), 1);
        (0..100_000).for_each(|_| answer(&mut limiter, Signal::Accepted));
        assert_eq!(limiter.limit(), 64, "never more than the maximum");
    }

    /// Sends waves of 64 requests, of which each twentieth is throttled and says to wait. Returns the number of pauses.
    fn pauses_of_single_failures(waves: usize) -> usize {
        let mut limiter = Limiter::new(64, None);
        let (mut now, mut pauses) = (Instant::now(), 0);
        for _ in 0..waves {
            if let Next::At(end) = limiter.next(now, 0) {
                pauses += 1;
                now = end;
            }
            let sent = now;
            for at in 0..64 {
                now += MS;
                let signal =
                    if at % 20 == 10 { Signal::Throttled(Some(Duration::from_secs(1))) } else { Signal::Accepted };
                limiter.answered(now, sent, signal);
            }
        }
        pauses
    }

    #[test]
    fn single_failures_do_not_pause_all_requests_for_ever() {
        assert_eq!(pauses_of_single_failures(2), 1);
        assert_eq!(pauses_of_single_failures(1_000), 2);
    }

    #[test]
    fn many_failures_pause_all_requests_again() {
        let mut limiter = Limiter::new(64, None);
        limiter.needless = MAX_NEEDLESS;
        let now = Instant::now();
        limiter.answered(now, now, Signal::Throttled(Some(MS)));
        assert_eq!(limiter.next(now, 0), Next::Now);
        (0..17).for_each(|_| limiter.answered(now, now, Signal::Throttled(Some(MS))));
        assert_eq!(limiter.next(now, 0), Next::At(now + MS));
    }

    #[test]
    fn the_rate_spaces_requests() {
        let start = Instant::now();
        let mut limiter = Limiter::new(64, Some(100.0));
        limiter.sent(start);
        assert_eq!(limiter.next(start, 1), Next::At(start + 10 * MS));
        limiter.sent(start + 12 * MS);
        assert_eq!(limiter.next(start + 12 * MS, 1), Next::At(start + 20 * MS), "a late timer does not slow down");
        limiter.sent(start + 1_000 * MS);
        assert_eq!(limiter.next(start + 1_000 * MS, 1), Next::At(start + 1_010 * MS), "idle time is not caught up");
    }
}
