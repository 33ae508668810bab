//! Decides if a thread that waits for a message repeats its read for some microseconds before it sleeps.
//!
//! Two threads that sleep and wake each other pay for it with each message: an idle processor of a virtual machine needs
//! tens of microseconds until it runs a thread. A thread repeats its read only if the last messages came soon, if the
//! process has more than one processor, and if no other work waits for the processor of the thread.

use std::sync::LazyLock;
use std::thread;
use std::time::{Duration, Instant};

/// The maximum time for which a read is repeated.
const LIMIT: Duration = Duration::from_micros(50);

/// The maximum sleep before a message that counts as soon. It includes the time to wake the threads of both sides.
const SOON: Duration = Duration::from_micros(150);

/// The number of successive messages that must come soon before a read is repeated.
const MIN_SOON: u32 = 4;

/// The maximum number of successive waits without a sleep. The thread then sleeps once, and so notices other events.
const MAX_IN_TURN: u32 = 512;

/// The minimum time of one repetition that shows that other work needed the processor.
const BUSY: Duration = Duration::from_micros(200);

/// The time without repeated reads after other work needed the processor. It doubles each time, up to [`MAX_PAUSE`].
const MIN_PAUSE: Duration = Duration::from_millis(5);

/// The maximum time without repeated reads.
const MAX_PAUSE: Duration = Duration::from_millis(320);

/// The number of waits since the last pause after which the next pause is short again.
const CALM: u32 = 256;

/// The recent waits of one reading thread.
#[derive(Debug, Default)]
pub(crate) struct Spin {
    /// The number of successive messages that came soon.
    soon: u32,
    /// The number of successive waits without a sleep.
    in_turn: u32,
    /// The times of the first and of the last read of the current wait.
    reads: Option<(Instant, Instant)>,
    /// The time until which no read is repeated.
    paused: Option<Instant>,
    /// The length of the last pause.
    pause: Duration,
    /// The number of waits without a sleep since the last pause.
    calm: u32,
}

impl Spin {
    /// Begins a wait. Returns false if the thread has to sleep at once.
    pub(crate) fn start(&mut self, now: Instant) -> bool {
        let is_paused = self.paused.is_some_and(|paused| now < paused);
        if self.soon < MIN_SOON || self.in_turn >= MAX_IN_TURN || is_paused {
            return false;
        }
        self.reads = Some((now, now));
        self.in_turn += 1;
        self.calm = self.calm.saturating_add(1);
        true
    }

    /// Continues a wait whose last read had no result. The thread has let other threads run since. Returns false if the
    /// thread has to sleep.
    pub(crate) fn goes_on(&mut self, now: Instant) -> bool {
        let Some((first, last)) = self.reads else { return false };
        if now - last > BUSY {
            self.pause = if self.calm > CALM { MIN_PAUSE } else { (self.pause * 2).clamp(MIN_PAUSE, MAX_PAUSE) };
            (self.paused, self.calm) = (Some(now + self.pause), 0);
            return false;
        }
        self.reads = Some((first, now));
        let goes_on = now - first < LIMIT;
        if !goes_on {
            self.soon = 0;
        }
        goes_on
    }

    /// Notes that the thread has slept for this time until a message came.
    pub(crate) fn slept(&mut self, time: Duration) {
        self.soon = if time < SOON { self.soon.saturating_add(1) } else { 0 };
        self.in_turn = 0;
    }
}

/// Returns true if the process has only one processor. A repeated read would then delay the message that it waits for.
pub(crate) fn has_one_processor() -> bool {
    static HAS_ONE: LazyLock<bool> =
        LazyLock::new(|| thread::available_parallelism().map_or(true, |count| count.get() == 1));
    *HAS_ONE
}

#[cfg(test)]
mod tests {
    use super::*;

    const MICROSECOND: Duration = Duration::from_micros(1);

    fn after_soon_messages() -> Spin {
        let mut spin = Spin::default();
        (0..MIN_SOON).for_each(|_| spin.slept(SOON / 2));
        spin
    }

    #[test]
    fn a_read_is_repeated_after_some_messages_that_came_soon() {
        let now = Instant::now();
        let mut spin = Spin::default();
        for _ in 0..MIN_SOON {
            assert!(!spin.start(now));
            spin.slept(SOON / 2);
        }
        assert!(spin.start(now));
        spin.slept(SOON);
        assert!(!spin.start(now));
    }

    #[test]
    fn a_wait_without_a_message_ends_at_the_limit_and_is_not_repeated() {
        let now = Instant::now();
        let mut spin = after_soon_messages();
        assert!(spin.start(now) && spin.goes_on(now + LIMIT - MICROSECOND));
        assert!(!spin.goes_on(now + LIMIT));
        assert!(!spin.start(now + LIMIT));
    }

    #[test]
    fn a_thread_sleeps_at_times_although_messages_keep_coming() {
        let now = Instant::now();
        let mut spin = after_soon_messages();
        assert_eq!((0..2 * MAX_IN_TURN).take_while(|_| spin.start(now)).count(), MAX_IN_TURN as usize);
        spin.slept(Duration::ZERO);
        assert!(spin.start(now));
    }

    #[test]
    fn pauses_grow_while_other_work_needs_the_processor() {
        let mut now = Instant::now();
        let mut spin = after_soon_messages();
        for millis in [5, 10, 20, 40, 80, 160, 320, 320] {
            assert!(spin.start(now));
            now += BUSY + MICROSECOND;
            assert!(!spin.goes_on(now));
            now += Duration::from_millis(millis);
            assert!(!spin.start(now - MICROSECOND));
        }
        (0..=CALM).for_each(|_| assert!(spin.start(now)));
        now += BUSY + MICROSECOND;
        assert!(!spin.goes_on(now) && spin.start(now + MIN_PAUSE));
    }
}
