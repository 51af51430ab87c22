//! Vertex normals from the faces of a mesh.

/// Unit normals of vertices, `[n, 3]`: the sum of the cross products of a vertex's triangles, so that a triangle
/// counts by its area. A vertex without a triangle of finite, non-zero area gets zeros.
///
/// Triangles that name a vertex past the last one are passed over.
pub(crate) fn vertex_normals(positions: &[[f32; 3]], triangles: &[[u32; 3]]) -> Vec<[f32; 3]> {
    let mut sums = vec![[0.0f64; 3]; positions.len()];
    for triangle in triangles {
        let corners = triangle.map(|index| positions.get(index as usize).map(|p| p.map(f64::from)));
        let [Some(a), Some(b), Some(c)] = corners else { continue };
        let edge = |to: [f64; 3]| [to[0] - a[0], to[1] - a[1], to[2] - a[2]];
        let (u, v) = (edge(b), edge(c));
        let cross = [u[1] * v[2] - u[2] * v[1], u[2] * v[0] - u[0] * v[2], u[0] * v[1] - u[1] * v[0]];
        if cross.iter().all(|value| value.is_finite()) {
            for &index in triangle {
                for (sum, part) in sums[index as usize].iter_mut().zip(cross) {
                    *sum += part;
                }
            }
        }
    }
    let unit = |sum: [f64; 3]| {
        let length = sum.iter().map(|value| value * value).sum::<f64>().sqrt();
        if length > 0.0 && length.is_finite() { sum.map(|value| (value / length) as f32) } else { [0.0; 3] }
    };
    sums.into_iter().map(unit).collect()
}

/// Appends the triangles of a polygon's vertex list, as a fan. Returns false when an index is no vertex index.
pub(crate) fn push_polygon(indices: &[i64], triangles: &mut Vec<[u32; 3]>) -> bool {
    let Some(indices) = checked(indices) else { return false };
    for pair in indices.get(1..).unwrap_or_default().windows(2) {
        triangles.push([indices[0], pair[0], pair[1]]);
    }
    true
}

/// Appends the triangles of a strip in which a negative index begins the next strip, as Stanford's scans have it.
pub(crate) fn push_strip(indices: &[i64], triangles: &mut Vec<[u32; 3]>) -> bool {
    indices.split(|&index| index < 0).all(|strip| {
        let Some(strip) = checked(strip) else { return false };
        for (place, corner) in strip.windows(3).enumerate() {
            // Every second triangle of a strip runs the other way round.
            let (b, c) = if place % 2 == 0 { (corner[1], corner[2]) } else { (corner[2], corner[1]) };
            triangles.push([corner[0], b, c]);
        }
        true
    })
}

fn checked(indices: &[i64]) -> Option<Vec<u32>> {
    indices.iter().map(|&index| u32::try_from(index).ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_vertex_leans_towards_its_larger_triangle() {
        // Area 2 facing +z and area 0.5 facing +x meet at the origin: the normal is (1, 0, 4) normalised.
        let positions = [[0.0; 3], [2.0, 0.0, 0.0], [0.0, 2.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]];
        let normals = vertex_normals(&positions, &[[0, 1, 2], [0, 3, 4]]);
        let expected = [1.0 / 17f32.sqrt(), 0.0, 4.0 / 17f32.sqrt()];
        for (value, expected) in normals[0].iter().zip(expected) {
            assert!((value - expected).abs() < 1e-6, "{normals:?}");
        }
        assert_eq!(normals[1], [0.0, 0.0, 1.0]);
    }

    #[test]
    fn lone_and_degenerate_vertices_get_zeros() {
        let positions = [[0.0; 3], [1.0, 0.0, 0.0], [2.0, 0.0, 0.0], [f32::NAN; 3]];
        let normals = vertex_normals(&positions, &[[0, 1, 2], [0, 1, 3], [0, 1, 9]]);
        assert_eq!(normals, vec![[0.0; 3]; 4]);
    }

    #[test]
    fn polygons_become_fans_and_strips_keep_their_side() {
        let mut triangles = Vec::new();
        assert!(push_polygon(&[4, 5, 6, 7], &mut triangles));
        assert!(push_strip(&[0, 1, 2, 3, -1, 7, 8, 9], &mut triangles));
        assert_eq!(triangles, [[4, 5, 6], [4, 6, 7], [0, 1, 2], [1, 3, 2], [7, 8, 9]]);
        assert!(!push_polygon(&[0, 1, -2], &mut triangles));
        assert!(push_polygon(&[0], &mut triangles));
    }
}
