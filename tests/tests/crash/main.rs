//! Real processes that die by a real `kill -9`. Whatever the moment, after the next start the sets
//! of outputs and dead letters and the durable counters equal those of an undisturbed run.

#[cfg(test)]
mod culprit;
#[cfg(test)]
mod damaged;
#[cfg(test)]
mod kills;
#[cfg(test)]
mod points;
#[cfg(test)]
mod reference;
#[cfg(test)]
mod replaced;
#[cfg(test)]
mod sent_back;
#[cfg(test)]
mod workload;
