//! How often a person is asked for a permission: not twice the same, and not all day long.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use wassette_host::{Actor, ComponentId};

/// For how long it is remembered that a form was shown.
const REMEMBERED: Duration = Duration::from_secs(3600);

/// Forms about one component that one client is shown in that time.
const FORMS_MAX: usize = 10;

/// Forms about all components that one client is shown in that time.
const FORMS_OF_ONE_MAX: usize = 20;

/// Forms of all clients in that time.
const FORMS_ALL_MAX: usize = 10_000;

/// The forms that were shown of late in this process.
#[derive(Debug, Default)]
pub(crate) struct Forms(Mutex<Vec<Form>>);

#[derive(Debug)]
struct Form {
    actor: Actor,
    component: ComponentId,
    number: u64,
    shown: Instant,
}

impl Forms {
    /// Whether a client may be shown the form of this request, which then counts as shown, whatever is answered. What is
    /// not shown waits for the command line.
    pub(crate) fn show(&self, actor: &Actor, component: &ComponentId, number: u64) -> bool {
        let mut forms = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        forms.retain(|form| form.shown.elapsed() < REMEMBERED);
        let is_same = |form: &&Form| form.actor == *actor && form.number == number;
        let is_alike = |form: &&Form| form.actor == *actor && form.component == *component;
        let is_enough = forms.iter().any(|form| is_same(&form))
            || forms.iter().filter(is_alike).count() >= FORMS_MAX
            || forms.iter().filter(|form| form.actor == *actor).count() >= FORMS_OF_ONE_MAX
            || forms.len() >= FORMS_ALL_MAX;
        if !is_enough {
            forms.push(Form {
                actor: actor.clone(),
                component: component.clone(),
                number,
                shown: Instant::now(),
            });
        }
        !is_enough
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn agent(name: &str) -> Actor {
        Actor::Agent {
            principal: name.to_owned(),
        }
    }

    #[test]
    fn nobody_is_asked_twice_or_all_day() {
        let forms = Forms::default();
        let (a, b): (ComponentId, ComponentId) = ("a".parse().unwrap(), "b".parse().unwrap());
        assert!(forms.show(&agent("x"), &a, 1));
        assert!(!forms.show(&agent("x"), &a, 1));
        assert!(forms.show(&agent("y"), &a, 1), "another client");
        for number in 2..=10 {
            assert!(forms.show(&agent("x"), &a, number), "{number}");
        }
        assert!(!forms.show(&agent("x"), &a, 11));
        for number in 12..=21 {
            assert!(forms.show(&agent("x"), &b, number), "another component: {number}");
        }
        let c: ComponentId = "c".parse().unwrap();
        assert!(!forms.show(&agent("x"), &c, 22), "twenty of all");
    }
}
