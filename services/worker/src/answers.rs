//! What a provider's answers over an account were lately, as this worker tells of them when it renews its shares.

use std::collections::VecDeque;
use std::time::Duration;

use tocsin_domain::failover::{Answers, SLOW, WINDOW};
use tocsin_providers::Answer;
use tocsin_runtime::{SharedClock, Stopwatch};

/// Answers of so long are counted together.
const BUCKET: Duration = Duration::from_secs(3);

/// A sliding window of answers, of one health of the account.
#[derive(Debug, Default)]
pub struct Window {
    epoch: i32,
    /// Oldest first.
    buckets: VecDeque<(Stopwatch, Answers)>,
}

impl Window {
    /// Names the health that answers are counted for.
    pub fn epoch(&self) -> i32 {
        self.epoch
    }

    /// The account came to another health: what was answered before says nothing about it.
    pub fn begin(&mut self, epoch: i32) {
        if self.epoch != epoch {
            *self = Self { epoch, buckets: VecDeque::new() };
        }
    }

    /// Counts what came of requests that began at the health of `epoch`.
    pub fn count(&mut self, epoch: i32, answers: Answers, clock: &SharedClock) {
        if epoch != self.epoch || answers == Answers::default() {
            return;
        }
        match self.buckets.back_mut() {
            Some((since, counted)) if since.elapsed() < BUCKET => *counted = counted.and(answers),
            _ => self.buckets.push_back((Stopwatch::start_by(clock), answers)),
        }
    }

    /// The sum over the window.
    pub fn sum(&mut self) -> Answers {
        while self.buckets.front().is_some_and(|(since, _)| since.elapsed() >= WINDOW) {
            self.buckets.pop_front();
        }
        self.buckets.iter().map(|(_, answers)| *answers).fold(Answers::default(), Answers::and)
    }
}

/// What one request tells of its account, however many messages it was for: one error moves nothing. None: it was never
/// started.
pub fn of_request(answers: &[Answer]) -> Option<Answers> {
    let started = answers.iter().any(|answer| *answer != Answer::NotStarted);
    started.then(|| Answers { all: 1, failed: u32::from(answers.iter().any(is_failure)) })
}

/// Is it the account's fault that nothing good came of the request? Not so: a refusal of this message, or a limit.
fn is_failure(answer: &Answer) -> bool {
    match answer {
        Answer::NotSent { .. } | Answer::Lost { .. } => true,
        Answer::Accepted { .. }
        | Answer::Refused { .. }
        | Answer::RefusedTogether { .. }
        | Answer::Throttled { .. }
        | Answer::NotStarted => false,
    }
}

/// Awaits the answers to so many requests. `slow` is called where they are slow, which are failures from then on,
/// whatever they say in the end: a provider that hangs must not be waited for to know it.
pub async fn timed(answers: impl Future<Output = Vec<Answer>>, slow: impl FnOnce()) -> (Vec<Answer>, bool) {
    let mut answers = std::pin::pin!(answers);
    match tokio::time::timeout(SLOW, &mut answers).await {
        Ok(answers) => (answers, false),
        Err(_) => {
            slow();
            (answers.await, true)
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::test_clock::TestClock;

    const ONE_FAILED: Answers = Answers { all: 1, failed: 1 };

    #[test]
    fn answers_count_for_half_a_minute_and_for_one_health() {
        let test_clock = Arc::new(TestClock::default());
        let clock: SharedClock = test_clock.clone();
        let mut window = Window::default();
        for _ in 0..40 {
            window.count(0, ONE_FAILED, &clock);
            test_clock.advance(1_000);
        }
        let counted = window.sum().all;
        assert!((27..=30).contains(&counted), "{counted}");
        test_clock.advance(31_000);
        assert_eq!(window.sum(), Answers::default());
        window.count(0, ONE_FAILED, &clock);
        window.begin(1);
        window.count(0, ONE_FAILED, &clock);
        assert_eq!(window.sum(), Answers::default(), "of the health before");
        window.count(1, ONE_FAILED, &clock);
        window.begin(1);
        assert_eq!(window.sum(), ONE_FAILED);
    }

    #[test]
    fn one_request_is_one_answer_and_one_that_never_started_is_none() {
        let sent = || Answer::Accepted { provider_id: None, outcome: None };
        let lost = || Answer::Lost { why: "x".into() };
        let told = |answers: &[Answer]| of_request(answers).map(|told| (told.all, told.failed));
        assert_eq!(told(&[Answer::NotStarted, Answer::NotStarted]), None);
        assert_eq!(told(&[sent(), sent()]), Some((1, 0)));
        assert_eq!(told(&[sent(), lost(), lost()]), Some((1, 1)));
    }

    #[tokio::test(start_paused = true)]
    async fn a_slow_answer_is_known_before_it_comes() {
        let begun = tokio::time::Instant::now();
        let told = std::cell::Cell::new(None);
        let answers = async {
            tokio::time::sleep(Duration::from_secs(12)).await;
            vec![Answer::NotSent { why: "x".into() }]
        };
        let (answers, slow) = timed(answers, || told.set(Some(begun.elapsed()))).await;
        assert_eq!((answers.len(), slow), (1, true));
        assert!(told.get().is_some_and(|after| after >= SLOW && after < Duration::from_secs(6)));
        let (_, slow) = timed(async { vec![] }, || panic!("it was quick")).await;
        assert!(!slow);
    }
}
