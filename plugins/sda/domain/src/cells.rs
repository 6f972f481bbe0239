//! Space cut into cubes, so that neighbours meet in one place.
//!
//! The law: whoever passes somebody inside a cell has, in that cell, every observation within
//! `reach` of the pass. Therefore an observation is copied to each cell that the object can be in
//! (or within a miss distance of) at most `reach` before or after it is seen.

use crate::time::SECOND_NS;
use crate::vector::Vector;
use std::fmt;

/// Fastest object that cells are laid out for, km/s: beyond escape speed at the surface.
pub const SPEED_MAX_KM_S: f64 = 15.0;

/// How far beyond a cell's border a pass still belongs to it too, so that rounding on the border
/// loses none.
pub const BORDER_KM: f64 = 0.1;

/// Acceleration at the surface of the Earth, km/s^2: how much a path can bend.
const ACCELERATION_MAX: f64 = 0.0099;

/// What measured positions and velocities may be off, beside everything else.
const SLACK_KM: f64 = 1.0;

/// A cube of space. Its text is `EDGE:X:Y:Z`, so that it cannot be mistaken for a cell of a grid
/// of another size.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Cell {
    /// Length of an edge in kilometres.
    pub edge_km: u32,
    /// Which cube along each axis; cube 0 begins at the centre of the Earth.
    pub index: [i32; 3],
}

impl Cell {
    /// Reads what `Display` writes.
    pub fn parse(text: &str) -> Option<Self> {
        let mut parts = text.split(':');
        let edge_km = parts.next()?.parse().ok().filter(|edge| *edge > 0)?;
        let index = [parts.next()?, parts.next()?, parts.next()?];
        let [x, y, z] = index.map(|part| part.parse::<i32>().ok());
        match parts.next() {
            None => Some(Self { edge_km, index: [x?, y?, z?] }),
            Some(_) => None,
        }
    }

    /// Whether a pass at `position` belongs to this cell.
    pub fn owns(&self, position: Vector) -> bool {
        let edge = f64::from(self.edge_km);
        self.index.iter().zip(position).all(|(index, part)| {
            let start = f64::from(*index) * edge;
            part >= start - BORDER_KM && part < start + edge + BORDER_KM
        })
    }
}

impl fmt::Display for Cell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [x, y, z] = self.index;
        write!(f, "{}:{x}:{y}:{z}", self.edge_km)
    }
}

/// How space is cut, and how far copies reach.
#[derive(Clone, Copy, Debug)]
pub struct Grid {
    edge_km: u32,
    reach_s: f64,
    pad_km: f64,
}

impl Grid {
    /// Cubes of `edge_km`; observations within `reach_ns` of a pass are to be complete, for misses
    /// of up to `miss_distance_max_km`. Fails if an observation could need more than two cells
    /// along an axis, which bounds its copies to eight.
    pub fn new(edge_km: u32, reach_ns: i64, miss_distance_max_km: f64) -> Result<Self, String> {
        let reach_s = reach_ns as f64 / SECOND_NS as f64;
        let bend_km = 0.5 * ACCELERATION_MAX * reach_s * reach_s;
        let pad_km = bend_km + miss_distance_max_km + BORDER_KM + SLACK_KM;
        let needed = 2.0 * (SPEED_MAX_KM_S * reach_s + pad_km);
        let fits = needed <= f64::from(edge_km);
        match fits {
            true => Ok(Self { edge_km, reach_s, pad_km }),
            false => Err(format!("should be at least {} for this reach", needed.ceil())),
        }
    }

    /// Every cell that needs a copy, in ascending order.
    pub fn cells(&self, position: Vector, velocity: Vector) -> Vec<Cell> {
        let edge = f64::from(self.edge_km);
        let span = |axis: usize| {
            let margin = velocity[axis].abs() * self.reach_s + self.pad_km;
            let first = ((position[axis] - margin) / edge).floor() as i32;
            let last = ((position[axis] + margin) / edge).floor() as i32;
            // More than two only for what is faster than anything that orbits.
            first..=last.min(first.saturating_add(2))
        };
        let mut cells = Vec::with_capacity(8);
        for x in span(0) {
            for y in span(1) {
                cells.extend(span(2).map(|z| Cell { edge_km: self.edge_km, index: [x, y, z] }));
            }
        }
        cells
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vector::plus_scaled;

    #[test]
    fn cells_read_back_from_their_text() {
        let cell = Cell { edge_km: 1000, index: [-8, 0, 7] };
        assert_eq!(cell.to_string(), "1000:-8:0:7");
        assert_eq!(Cell::parse("1000:-8:0:7"), Some(cell));
        for text in ["", "1000", "1000:1:2", "1000:1:2:3:4", "0:1:2:3", "a:1:2:3", "1:1:2:x"] {
            assert_eq!(Cell::parse(text), None, "{text}");
        }
    }

    #[test]
    fn a_copy_lies_in_every_cell_where_the_object_can_pass_somebody() {
        let grid = Grid::new(1000, 20 * SECOND_NS, 5.0).unwrap();
        let position = [6999.0, 85.0, -95.0];
        let velocity = [-0.2, 5.0, 5.5];
        let cells = grid.cells(position, velocity);
        for tenth in -200..=200 {
            let there = plus_scaled(position, velocity, f64::from(tenth) / 10.0);
            for miss in [-5.0, 0.0, 5.0] {
                let other = there.map(|part| part + miss);
                let owner = other.map(|part| (part / 1000.0).floor() as i32);
                assert!(cells.contains(&Cell { edge_km: 1000, index: owner }), "{other:?}");
            }
        }
        assert!(cells.len() <= 8 && cells.is_sorted());
        assert_eq!(grid.cells([500.0, 500.0, 6500.0], velocity).len(), 1);
    }

    #[test]
    fn a_pass_on_a_border_belongs_to_both_cells() {
        let low = Cell { edge_km: 1000, index: [6, 0, 0] };
        let high = Cell { edge_km: 1000, index: [7, 0, 0] };
        let owners = |x: f64| [low.owns([x, 1.0, 1.0]), high.owns([x, 1.0, 1.0])];
        assert_eq!(owners(7000.0), [true, true]);
        assert_eq!(owners(6999.0), [true, false]);
        assert_eq!(owners(7001.0), [false, true]);
    }

    #[test]
    fn a_grid_that_is_too_fine_for_its_reach_is_refused() {
        assert!(Grid::new(500, 20 * SECOND_NS, 5.0).is_err());
        assert!(Grid::new(1000, i64::MAX, 5.0).is_err());
        assert!(Grid::new(1000, 20 * SECOND_NS, f64::NAN).is_err());
    }
}
