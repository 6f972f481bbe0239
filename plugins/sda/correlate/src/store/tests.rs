//! What the store must keep: nothing lost, nothing twice, small, and the same after a restart.

use super::*;
use pawl_sdk::testing::Random;

fn observation(time_ms: i64, number: usize, id: &str) -> Observation<'_> {
    let sample = Sample {
        object_id: 4_000_000_000 + number as u32 % 7,
        time_ns: time_ms * MILLISECOND_NS + 1,
        position_km: [7000.0 + number as f64, -0.0, 1e-9],
        velocity_km_s: [7.5, 0.1, number as f64],
        sigma_km: 0.01,
    };
    Observation { sample, id, origin: "observations/3/1234567" }
}

fn cell(x: i32) -> Cell {
    Cell { edge_km: 2000, index: [x, -3, 32_767] }
}

/// Cell, id and origin of every copy of a stretch, in its order.
fn all(store: &Store, from_ms: i64, to_ms: i64) -> Vec<(Cell, String, String)> {
    let stretch = store.stretch(from_ms, to_ms);
    let mut all = Vec::new();
    for (cell, places) in stretch.cells() {
        for place in places {
            assert!(
                (from_ms - PANE_MS..=to_ms + PANE_MS)
                    .contains(&(stretch.sample(*place).time_ns / MILLISECOND_NS))
            );
            let (id, origin) = stretch.texts(*place);
            all.push((cell, id, origin));
        }
    }
    all
}

fn snapshot(store: &mut Store) -> Vec<(u32, Vec<u8>)> {
    let mut parts = Vec::new();
    for slot in 0..store.slots() {
        for chunk in 0.. {
            let mut part = Vec::new();
            let more = store.encode(slot, chunk, &mut part);
            parts.push((slot, part));
            assert_eq!(store.chunks(slot), chunk + 1 + u32::from(more));
            if !more {
                break;
            }
        }
    }
    parts
}

fn restored(parts: &[(u32, Vec<u8>)]) -> Store {
    let mut store = Store::new();
    parts.iter().for_each(|(slot, part)| store.decode(*slot, part).unwrap());
    store
}

#[test]
fn cells_are_numbers_in_their_own_order() {
    let cells = [cell(-32_768), cell(-1), cell(0), cell(5)];
    let packed = cells.map(|cell| pack(cell).unwrap());
    assert!(packed.is_sorted());
    assert_eq!(packed.map(unpack), cells);
    assert_eq!(pack(cell(32_768)), None);
    assert_eq!(pack(Cell { edge_km: 65_536, ..cell(0) }), None);
}

#[test]
fn numbers_come_back_positions_and_times_exactly_and_the_rest_nearly() {
    for time_ms in [-1, 0, 3999, 1_730_419_203_999] {
        let mut store = Store::new();
        let given = observation(time_ms, 5, "a");
        store.add(pack(cell(0)).unwrap(), &given);
        let stretch = store.stretch(time_ms, time_ms);
        let (_, places) = stretch.cells().next().unwrap();
        let kept = stretch.sample(places[0]);
        let exact =
            Sample { velocity_km_s: kept.velocity_km_s, sigma_km: kept.sigma_km, ..given.sample };
        assert_eq!(kept, exact);
        for (a, b) in kept.velocity_km_s.iter().zip(given.sample.velocity_km_s) {
            assert!((a - b).abs() < 5e-7);
        }
        assert!((kept.sigma_km - 0.01).abs() < 1e-9);
        let tiny = Sample { sigma_km: 1e-300, ..given.sample };
        assert!(Row::new(&tiny).sigma_km > 0.0);
    }
}

#[test]
fn a_stretch_has_every_copy_by_cell_and_an_observation_is_kept_once() {
    let mut store = Store::new();
    for number in 0..100 {
        let id = format!("id-{number}");
        for x in 0..=number % 3 {
            store.add(
                pack(cell(x as i32)).unwrap(),
                &observation(number * 1000, number as usize, &id),
            );
        }
    }
    let kept: usize = store.slots.iter().flat_map(|s| s.panes.values()).map(|p| p.rows.len()).sum();
    assert_eq!(kept, 100);
    let found = all(&store, 8000, 15_999);
    let expected: Vec<(Cell, String, String)> = (0..3)
        .flat_map(|x| (8..16).filter(move |number| number % 3 >= x).map(move |number| (x, number)))
        .map(|(x, number)| (cell(x), format!("id-{number}"), "observations/3/1234567".to_owned()))
        .collect();
    assert_eq!(found, expected);
    assert_eq!(store.oldest_ms(), Some(0));
    store.drop_before(11_999);
    assert_eq!(store.oldest_ms(), Some(8000));
    store.drop_before(1_000_000);
    assert_eq!((store.oldest_ms(), all(&store, 0, 1_000_000)), (None, Vec::new()));
}

#[test]
fn a_store_restored_is_the_same_and_small() {
    let mut store = Store::new();
    let mut random = Random::new(3);
    for number in 0..3000 {
        let id = format!("s01-43210-{}", 1_730_419_200_000_000_000_u64 + number);
        // Far more in one pane than a part of the state may have.
        let time_ms = if random.below(10) == 0 { random.below(500_000) as i64 } else { 77_000 };
        for x in 0..1 + random.below(2) {
            store.add(pack(cell(x as i32)).unwrap(), &observation(time_ms, number as usize, &id));
        }
    }
    let parts = snapshot(&mut store);
    let mut again = restored(&parts);
    assert!(
        (0..SLOTS).all(|slot| !again.changed(slot) && again.chunks(slot) == store.chunks(slot))
    );
    assert_eq!(all(&again, 0, 600_000), all(&store, 0, 600_000));
    assert_eq!(snapshot(&mut again), parts);
    let bytes: usize = parts.iter().map(|(_, part)| part.len()).sum();
    assert!(bytes / 3000 < 110, "{bytes}");
}

#[test]
fn only_slots_that_changed_are_written_again() {
    let mut store = Store::new();
    (0..20).for_each(|n| store.add(pack(cell(0)).unwrap(), &observation(n * PANE_MS, 0, "a")));
    snapshot(&mut store);
    store.settle();
    assert!((0..SLOTS).all(|slot| !store.changed(slot)));
    store.add(pack(cell(1)).unwrap(), &observation(5 * PANE_MS, 1, "b"));
    store.drop_before(PANE_MS);
    let changed: Vec<u32> = (0..SLOTS).filter(|slot| store.changed(*slot)).collect();
    assert_eq!(changed, [0, 5]);
}

#[test]
fn bytes_that_it_cannot_have_written_are_refused_without_a_panic() {
    let mut store = Store::new();
    store.add(pack(cell(0)).unwrap(), &observation(0, 0, "a"));
    let (_, part) = snapshot(&mut store).swap_remove(0);
    for length in 1..part.len() {
        assert!(Store::new().decode(0, &part[..length]).is_err(), "{length}");
    }
    assert!(Store::new().decode(1, &part).is_err());
    assert!(Store::new().decode(SLOTS, &part).is_err());
    let mut random = Random::new(1);
    for _ in 0..20_000 {
        let mut spoilt = part.clone();
        for _ in 0..1 + random.below(3) {
            let at = random.below(spoilt.len());
            spoilt[at] = random.below(256) as u8;
        }
        let mut store = Store::new();
        if store.decode(0, &spoilt).is_ok() {
            all(&store, i64::MIN / 4, i64::MAX / 4);
            store.oldest_ms();
        }
    }
}
