//! Three numbers and what is done with them.

/// Coordinates of a position, velocity or difference of them.
pub type Vector = [f64; 3];

/// `a - b`.
pub fn minus(a: Vector, b: Vector) -> Vector {
    [a[0] - b[0], a[1] - b[1], a[2] - b[2]]
}

/// `a + b * factor`.
pub fn plus_scaled(a: Vector, b: Vector, factor: f64) -> Vector {
    [a[0] + b[0] * factor, a[1] + b[1] * factor, a[2] + b[2] * factor]
}

/// Scalar product.
pub fn dot(a: Vector, b: Vector) -> f64 {
    a[0] * b[0] + a[1] * b[1] + a[2] * b[2]
}

/// Vector product.
pub fn cross(a: Vector, b: Vector) -> Vector {
    [a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]]
}

/// Length.
pub fn norm(a: Vector) -> f64 {
    dot(a, a).sqrt()
}

/// Unit vector; all zero where there is no direction.
pub fn unit(a: Vector) -> Vector {
    let length = norm(a);
    if length > 0.0 { a.map(|part| part / length) } else { [0.0; 3] }
}

/// `difference` along the radial, transverse and normal axes of an object at `position` that moves
/// with `velocity`.
pub fn radial_transverse_normal(position: Vector, velocity: Vector, difference: Vector) -> Vector {
    let radial = unit(position);
    let normal = unit(cross(position, velocity));
    let transverse = cross(normal, radial);
    [dot(difference, radial), dot(difference, transverse), dot(difference, normal)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_axes_of_a_circular_orbit_are_outward_forward_and_along_the_momentum() {
        let rtn = radial_transverse_normal([7000.0, 0.0, 0.0], [0.0, 7.5, 0.0], [1.0, 2.0, 3.0]);
        assert_eq!(rtn, [1.0, 2.0, 3.0]);
        let rtn = radial_transverse_normal([0.0, 7000.0, 0.0], [-7.5, 0.1, 0.0], [1.0, 2.0, 3.0]);
        assert_eq!(rtn, [2.0, -1.0, 3.0]);
        assert_eq!(radial_transverse_normal([0.0; 3], [0.0; 3], [1.0; 3]), [0.0; 3]);
    }
}
