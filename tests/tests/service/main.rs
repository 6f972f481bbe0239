//! Real processes with built plugins: guests that misbehave, input of every kind, time and its
//! gaps, bounds that are reached, signals. Each test is one story and what must come of it.

#[cfg(test)]
mod bad_input;
#[cfg(test)]
mod bounds;
#[cfg(test)]
mod given_up;
#[cfg(test)]
mod guests;
#[cfg(test)]
mod isolation;
#[cfg(test)]
mod life;
#[cfg(test)]
mod monitor;
#[cfg(test)]
mod operations;
#[cfg(test)]
mod time;
#[cfg(test)]
mod trace;
#[cfg(test)]
mod traces;
