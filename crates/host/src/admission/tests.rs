//! Who gets a place, in which order, and what is left when waiters go away. No guests: places are numbers.

use super::*;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

/// A call on its way to a place, polled by hand.
struct Call<'a> {
    place: Pin<Box<dyn Future<Output = Result<Place, Refusal>> + 'a>>,
}

impl<'a> Call<'a> {
    fn of(admission: &'a Admission, id: &'a ComponentId, limits: &'a Limits) -> Self {
        // The runtime makes futures wait that are polled often in one go, which here is the test itself.
        let place = tokio::task::unconstrained(admission.place(id, limits));
        Self {
            place: Box::pin(place),
        }
    }

    /// `None` while it waits.
    fn poll(&mut self) -> Option<Result<Place, Refusal>> {
        match self.place.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(placed) => Some(placed),
            Poll::Pending => None,
        }
    }

    #[track_caller]
    fn waits(&mut self) {
        assert!(self.poll().is_none(), "it must wait");
    }

    #[track_caller]
    fn placed(&mut self) -> Place {
        self.poll().expect("its turn has come").expect("a place")
    }

    #[track_caller]
    fn refused(&mut self) -> Refusal {
        self.poll().expect("it does not wait").expect_err("a refusal")
    }
}

fn admission(places_max: u32) -> Admission {
    Admission::new(places_max, Instant::now)
}

fn id(id: &str) -> ComponentId {
    id.parse().expect("an id")
}

fn at_a_time(concurrency: u32) -> Limits {
    Limits {
        concurrency,
        ..Limits::DEFAULT
    }
}

/// Nobody runs, nobody waits, and what the lines say is what the sums say.
#[track_caller]
fn is_empty(admission: &Admission) {
    let lines = lock(&admission.lines);
    assert_eq!((lines.running, lines.waiting, lines.turns.len()), (0, 0, 0));
    assert!(
        lines
            .of
            .values()
            .all(|line| line.running == 0 && line.waiting.is_empty())
    );
}

#[tokio::test]
async fn a_component_has_so_many_calls_at_a_time_and_the_next_waits() {
    let (admission, x, limits) = (admission(64), id("x"), at_a_time(2));
    let first = Call::of(&admission, &x, &limits).placed();
    let second = Call::of(&admission, &x, &limits).placed();
    let mut third = Call::of(&admission, &x, &limits);
    let mut fourth = Call::of(&admission, &x, &limits);
    third.waits();
    fourth.waits();
    drop(first);
    fourth.waits();
    let third = third.placed();
    drop(second);
    drop((third, fourth.placed()));
    is_empty(&admission);
}

#[tokio::test]
async fn a_flood_for_one_component_does_not_delay_another() {
    let (admission, flooded, other, limits) = (admission(64), id("flooded"), id("other"), at_a_time(16));
    let mut flood: Vec<_> = (0..16 + WAITING_OF_ONE_MAX)
        .map(|_| Call::of(&admission, &flooded, &limits))
        .collect();
    let places: Vec<_> = flood.iter_mut().filter_map(Call::poll).collect();
    assert_eq!(places.len(), 16);
    drop(Call::of(&admission, &other, &limits).placed());
    drop((places, flood));
    is_empty(&admission);
}

#[tokio::test]
async fn free_places_go_to_the_components_in_turn() {
    let (admission, limits) = (admission(1), at_a_time(16));
    let names = ["a", "a", "a", "b", "b", "c"].map(id);
    let mut running = Some(Call::of(&admission, &names[0], &limits).placed());
    let mut waiting: Vec<_> = names
        .iter()
        .map(|id| (id, Call::of(&admission, id, &limits)))
        .collect();
    waiting.iter_mut().for_each(|(_, call)| call.waits());
    let mut order = String::new();
    while !waiting.is_empty() {
        drop(running.take());
        let turn = waiting.iter_mut().position(|(_, call)| {
            running = call.poll().map(|placed| placed.expect("a place"));
            running.is_some()
        });
        let (id, _) = waiting.remove(turn.expect("somebody's turn has come"));
        order.push_str(id.as_str());
    }
    assert_eq!(order, "abcaba");
    drop(running);
    is_empty(&admission);
}

#[tokio::test]
async fn a_component_at_its_own_limit_does_not_hold_up_the_turns_of_others() {
    let (admission, one, many) = (admission(2), at_a_time(1), at_a_time(16));
    let (a, b) = (id("a"), id("b"));
    let own = Call::of(&admission, &a, &one).placed();
    let last = Call::of(&admission, &b, &many).placed();
    let (mut at_limit, mut next) = (Call::of(&admission, &a, &one), Call::of(&admission, &b, &many));
    at_limit.waits();
    next.waits();
    drop(last);
    at_limit.waits();
    let next = next.placed();
    drop(own);
    drop((next, at_limit.placed()));
    is_empty(&admission);
}

#[tokio::test]
async fn the_queue_is_bounded_for_each_and_for_all_and_says_who_is_in_the_way() {
    let (admission, limits) = (admission(2), at_a_time(1));
    let (a, b, c) = (id("a"), id("b"), id("c"));
    let running = [&a, &b].map(|id| Call::of(&admission, id, &limits).placed());
    let mut waiting: Vec<_> = (0..WAITING_OF_ONE_MAX)
        .map(|_| Call::of(&admission, &a, &limits))
        .collect();
    waiting.iter_mut().for_each(Call::waits);
    let refusal = Call::of(&admission, &a, &limits).refused();
    assert_eq!(
        refusal.to_string(),
        "limit of 1 calls at a time of component `a` reached; 128 are waiting"
    );
    let mut others: Vec<_> = (0..WAITING_OF_ONE_MAX)
        .map(|_| Call::of(&admission, &b, &limits))
        .collect();
    others.iter_mut().for_each(Call::waits);
    let refusal = Call::of(&admission, &c, &limits).refused();
    assert_eq!(
        refusal.to_string(),
        "limit of 2 calls at a time of all components reached; 256 are waiting"
    );
    drop((others, running, waiting));
    is_empty(&admission);
}

#[tokio::test]
async fn who_goes_away_leaves_the_queue_or_gives_back_what_came() {
    let (admission, x, limits) = (admission(1), id("x"), at_a_time(1));
    let running = Call::of(&admission, &x, &limits).placed();
    let mut calls: Vec<_> = (0..4).map(|_| Call::of(&admission, &x, &limits)).collect();
    calls.iter_mut().for_each(Call::waits);
    drop(calls.remove(1));
    assert_eq!(lock(&admission.lines).waiting, 3);
    // The first gets the place and goes away before it knows.
    drop(running);
    assert_eq!(lock(&admission.lines).running, 1);
    drop(calls.remove(0));
    drop(calls.remove(0).placed());
    drop(calls.remove(0).placed());
    is_empty(&admission);
}

#[tokio::test]
async fn a_wait_ends_with_the_time_of_the_call() {
    let (admission, x) = (admission(1), id("x"));
    let limits = Limits {
        time: Duration::from_millis(20),
        ..at_a_time(1)
    };
    let running = admission.place(&x, &limits).await.expect("a place");
    let started = Instant::now();
    let refusal = admission.place(&x, &limits).await.expect_err("no turn comes");
    assert_eq!(
        refusal.to_string(),
        "limit of 1 calls at a time of component `x` reached; no turn came within 20ms"
    );
    assert!(started.elapsed() >= limits.time);
    drop(running);
    is_empty(&admission);
}

#[tokio::test]
async fn a_limit_that_was_raised_counts_from_the_next_call_on() {
    let (admission, x) = (admission(64), id("x"));
    let (low, high) = (at_a_time(1), at_a_time(3));
    let running = Call::of(&admission, &x, &low).placed();
    let mut early = Call::of(&admission, &x, &low);
    early.waits();
    let mut late = Call::of(&admission, &x, &high);
    let late = late.placed();
    drop((early.placed(), late, running));
    is_empty(&admission);
}

/// Calls come, go, are dropped while they wait and change their limits, in an order that looks like chance.
#[tokio::test]
async fn no_place_is_lost_or_given_twice() {
    let (admission, limits) = (admission(5), [1, 2, 3].map(at_a_time));
    let ids = ["a", "b", "c"].map(id);
    let (mut waiting, mut held): (Vec<Call<'_>>, Vec<Place>) = (Vec::new(), Vec::new());
    let mut seed = 1_u64;
    let mut chance = move |below: usize| {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        usize::try_from(seed >> 33).expect("31 bits") % below
    };
    for _ in 0..20_000 {
        match chance(4) {
            0 | 1 => waiting.push(Call::of(&admission, &ids[chance(3)], &limits[chance(3)])),
            2 if !held.is_empty() => drop(held.swap_remove(chance(held.len()))),
            _ if !waiting.is_empty() => drop(waiting.swap_remove(chance(waiting.len()))),
            _ => {}
        }
        // Twice, because a late call with a higher limit gives their turn to earlier ones.
        for _ in 0..2 {
            waiting.retain_mut(|call| match call.poll() {
                Some(Ok(place)) => {
                    held.push(place);
                    false
                }
                Some(Err(_full)) => false,
                None => true,
            });
        }
        let lines = lock(&admission.lines);
        assert_eq!(lines.running as usize, held.len());
        assert_eq!(lines.waiting, waiting.len());
        assert!(lines.running <= 5);
        let starved = lines
            .of
            .values()
            .any(|line| line.has_room() && !line.waiting.is_empty());
        assert!(
            lines.running == 5 || !starved,
            "a place is free and somebody waits"
        );
    }
    drop((waiting, held));
    is_empty(&admission);
}

const RATE: Rate = Rate {
    calls: 7,
    per: Duration::from_secs(60),
};

#[test]
fn a_rate_lets_its_number_through_at_once_and_then_one_after_the_other() {
    let start = Instant::now();
    let mut bucket = Bucket::default();
    for _ in 0..7 {
        assert_eq!(bucket.take(RATE, start), Ok(()));
    }
    let one = RATE.per / 7;
    let wait = bucket.take(RATE, start).expect_err("the eighth");
    assert!(wait <= one && wait + Duration::from_nanos(7) >= one, "{wait:?}");
    assert_eq!(bucket.take(RATE, start + wait), Ok(()));
    assert!(bucket.take(RATE, start + wait).is_err());
    assert!(!bucket.is_full(start + RATE.per));
    assert!(bucket.is_full(start + RATE.per + wait));
}

#[test]
fn under_another_rate_what_was_used_still_counts() {
    let per_hour = |calls| Rate {
        calls,
        per: Duration::from_secs(3_600),
    };
    let per_minute = |calls| Rate {
        calls,
        per: Duration::from_secs(60),
    };
    let used = |calls: u32, rate: Rate, start: Instant| {
        let mut bucket = Bucket::default();
        for _ in 0..calls {
            assert_eq!(bucket.take(rate, start), Ok(()));
        }
        bucket
    };
    let start = Instant::now();
    // Two are used of three now.
    let mut raised = used(2, per_minute(2), start);
    assert_eq!(raised.take(per_minute(3), start), Ok(()));
    assert_eq!(raised.take(per_minute(3), start), Err(Duration::from_secs(20)));
    // Nobody waits for the rest of an hour that does not count any more.
    let mut raised = used(1, per_hour(1), start);
    assert_eq!(raised.take(per_minute(60), start), Ok(()));
    let mut lowered = used(3, per_minute(7), start);
    assert_eq!(lowered.take(per_hour(4), start), Ok(()));
    assert_eq!(lowered.take(per_hour(4), start), Err(Duration::from_secs(900)));
    let mut lowered = used(7, per_minute(7), start);
    assert_eq!(lowered.take(per_hour(1), start), Err(Duration::from_secs(3_600)));
}

#[test]
fn times_beyond_reckoning_are_refused() {
    let rate = Rate {
        calls: 1,
        per: Duration::MAX,
    };
    assert_eq!(Bucket::default().take(rate, Instant::now()), Err(Duration::MAX));
}

#[tokio::test]
async fn a_call_beyond_the_rate_is_refused_and_one_that_gets_no_place_does_not_count() {
    let (admission, x) = (admission(1), id("x"));
    let limits = Limits {
        rate: Some(Rate {
            calls: 130,
            per: Duration::from_secs(3_600),
        }),
        ..at_a_time(1)
    };
    let running = Call::of(&admission, &x, &limits).placed();
    let mut waiting: Vec<_> = (0..WAITING_OF_ONE_MAX)
        .map(|_| Call::of(&admission, &x, &limits))
        .collect();
    waiting.iter_mut().for_each(Call::waits);
    for _ in 0..3 {
        assert!(matches!(
            Call::of(&admission, &x, &limits).refused(),
            Refusal::Full { waiting: 128, .. }
        ));
    }
    drop((waiting, running));
    drop(Call::of(&admission, &x, &limits).placed());
    let refusal = Call::of(&admission, &x, &limits).refused();
    let text = refusal.to_string();
    assert!(
        text.starts_with("limit of 130 calls in 3600s of component `x` reached; try again in 27."),
        "{text}"
    );
    // Unloading and loading again resets nothing.
    admission.retain(&Catalog::empty());
    assert_eq!(Call::of(&admission, &x, &limits).refused().to_string(), text);
    is_empty(&admission);
}

#[test]
fn calls_whose_component_is_not_ready_are_bounded() {
    let admission = admission(64);
    let mut waiting: Vec<_> = (0..UNREADY_MAX)
        .map(|_| admission.unready().expect("a turn"))
        .collect();
    let refusal = admission.unready().expect_err("too many");
    assert_eq!(
        refusal.to_string(),
        "limit of 256 calls whose component is being made ready reached; try again"
    );
    waiting.pop();
    assert!(admission.unready().is_ok());
}

#[tokio::test]
async fn components_that_are_gone_are_forgotten() {
    let (admission, x, limits) = (admission(1), id("x"), at_a_time(1));
    let running = Call::of(&admission, &x, &limits).placed();
    admission.retain(&Catalog::empty());
    assert_eq!(lock(&admission.lines).of.len(), 1, "it runs");
    drop(running);
    admission.retain(&Catalog::empty());
    assert_eq!(lock(&admission.lines).of.len(), 0);
}

#[test]
fn large_arguments_have_a_bound_and_small_ones_go_through() {
    let admission = admission(1);
    let most = usize::try_from(ARGUMENTS_KIB_MAX).expect("a size") << 10;
    let half = admission.hold(most / 2).expect("room");
    let other = admission.hold(most / 2).expect("room");
    assert_eq!(admission.hold(1 << 20).map(|_| ()), Err(Refusal::Arguments));
    assert!(admission.hold(1 << 10).is_ok());
    drop(half);
    assert!(admission.hold(1 << 20).is_ok());
    drop(other);
    assert_eq!(admission.hold(usize::MAX).map(|_| ()), Err(Refusal::Arguments));
}
