//! An alarm: a session that two may have held.

use super::id::{FamilyId, UserId};
use super::time::Timestamp;

/// The alarm that a family raised last.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Alarm {
    /// Whose it is.
    pub family: FamilyId,
    /// When it was raised.
    pub at: Timestamp,
    /// Who of the administrators read it, if one did.
    pub read: Option<Read>,
    /// What the person said of it, if they did.
    pub answered: Option<Answered>,
}

/// An administrator has read an alarm.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Read {
    /// When.
    pub at: Timestamp,
    /// Who.
    pub by: UserId,
}

/// The person has said whether an alarm was about themselves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Answered {
    /// When.
    pub at: Timestamp,
    /// What.
    pub answer: Answer,
}

/// What a person says of an alarm.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// It was me.
    Me,
    /// It wasn't me.
    NotMe,
}

impl Answer {
    /// Both, with the name that the database uses.
    const ALL: [(Self, &'static str); 2] = [(Self::Me, "me"), (Self::NotMe, "not_me")];

    /// Its name in the database.
    pub fn name(self) -> &'static str {
        Self::ALL.iter().find(|(own, _)| *own == self).map_or("", |(_, name)| name)
    }

    /// The answer with this name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.iter().find(|(_, own)| *own == name).map(|(answer, _)| *answer)
    }
}

impl Alarm {
    /// Whether the person still has something to do: to say whether it was them, or, where it
    /// wasn't, to change the password, which they last did at `password_changed`.
    pub fn concerns_person(&self, password_changed: Timestamp) -> bool {
        match self.answered {
            None => true,
            Some(Answered { answer: Answer::Me, .. }) => false,
            Some(Answered { answer: Answer::NotMe, at }) => password_changed <= at,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_alarm_concerns_its_person_until_they_did_what_there_is_to_do() {
        let at = Timestamp::from_millis;
        let mut alarm =
            Alarm { family: FamilyId::from_bytes([1; 16]), at: at(5), read: None, answered: None };
        assert!(alarm.concerns_person(at(9)), "a password changed before they said so");
        alarm.answered = Some(Answered { at: at(7), answer: Answer::NotMe });
        assert!(alarm.concerns_person(at(7)));
        assert!(!alarm.concerns_person(at(8)));
        alarm.answered = Some(Answered { at: at(7), answer: Answer::Me });
        assert!(!alarm.concerns_person(at(1)));
    }

    #[test]
    fn answers_have_names() {
        for (answer, name) in Answer::ALL {
            assert_eq!((answer.name(), Answer::from_name(name)), (name, Some(answer)));
        }
    }
}
