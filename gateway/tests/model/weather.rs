//! What goes wrong between a node and its services, by the dice of one seed.

use std::sync::{
    Mutex, PoisonError,
    atomic::{AtomicBool, Ordering},
};

use broker::BrokerError;
use rand::{RngExt as _, SeedableRng as _, rngs::StdRng};
use store::StoreError;

/// How likely each mishap is.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Forecast {
    /// A message does not arrive.
    pub(crate) lost: f64,
    /// A message arrives once more, together with the next ones.
    pub(crate) repeated: f64,
    /// A read of the broker or of the database fails.
    pub(crate) refused: f64,
    /// The planted fault: a message has the event of the one before it.
    pub(crate) swapped: f64,
}

/// The dice, and what is away at the moment.
pub(crate) struct Weather {
    forecast: Forecast,
    dice: Mutex<StdRng>,
    /// The subscriber's connection.
    cut_off: AtomicBool,
    /// The database, for reads.
    store_away: AtomicBool,
}

impl Weather {
    pub(crate) fn new(seed: u64, forecast: Forecast) -> Self {
        let dice = Mutex::new(StdRng::seed_from_u64(seed));
        Self { forecast, dice, cut_off: AtomicBool::default(), store_away: AtomicBool::default() }
    }

    pub(crate) fn store_away(&self, away: bool) {
        self.store_away.store(away, Ordering::SeqCst);
    }

    pub(crate) fn cut_off(&self, cut_off: bool) {
        self.cut_off.store(cut_off, Ordering::SeqCst);
    }

    pub(crate) fn is_cut_off(&self) -> bool {
        self.cut_off.load(Ordering::SeqCst)
    }

    pub(crate) fn loses(&self) -> bool {
        self.is_cut_off() || self.strikes(self.forecast.lost)
    }

    pub(crate) fn repeats(&self) -> bool {
        self.strikes(self.forecast.repeated)
    }

    pub(crate) fn swaps(&self) -> bool {
        self.strikes(self.forecast.swapped)
    }

    /// Whether the broker answers this time.
    pub(crate) fn broker(&self) -> Result<(), BrokerError> {
        if self.is_cut_off() || self.strikes(self.forecast.refused) {
            return Err(BrokerError::Unavailable(String::from("bad weather")));
        }
        Ok(())
    }

    /// Whether the database answers this time.
    pub(crate) fn store(&self) -> Result<(), StoreError> {
        if self.store_away.load(Ordering::SeqCst) || self.strikes(self.forecast.refused) {
            return Err(StoreError::Unavailable(String::from("bad weather")));
        }
        Ok(())
    }

    fn strikes(&self, chance: f64) -> bool {
        chance > 0.0 && self.dice.lock().unwrap_or_else(PoisonError::into_inner).random_bool(chance)
    }
}
