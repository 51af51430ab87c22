//! `layer_norm_backward`: gradients of [`layer_norm`](super::layer_norm). With the normalised row u, its scale
//! `1 / sqrt(variance + eps)`, `h = u · gamma + beta`, `dh = act'(h) · dy` and `g = dh · gamma`:
//! `dx[i, :] = scale · (g - mean of g - u · mean of g u)`, `dgamma = Σ_i dh · u`, `dbeta = Σ_i dh`.
//!
//! The forward saves nothing but its input. The residual it adds has the gradient dy.

use super::{
    Activation, ensure, groups_for,
    layer_norm::{CPU_ROWS, EPS, ROWS_PER_GROUP, sum},
    math::vectorised,
};
use crate::parallel::prelude::*;
use crate::{
    Result,
    device::{
        DType, Device, Tensor,
        command::{Bind, Dispatch, Work, bytes_of},
        dispatch::row_chunks,
        gpu::Gpu,
        shader_table::{layer_norm_backward as table, params},
    },
};

params!(layer_norm_backward { rows: u32, columns: u32, activation: u32, block_base: u32, blocks: u32, eps: f32 });

/// Rows that are summed together before their sums are; every split by rows falls between two blocks, so that it
/// changes no bit.
const BLOCK_ROWS: usize = 64;

/// A layer norm of the forward pass.
#[derive(Clone, Copy)]
pub struct Normed<'a> {
    /// What it normalised, `[n, c]`.
    pub x: &'a Tensor,
    /// `[c]`.
    pub gamma: &'a Tensor,
    /// `[c]`.
    pub beta: &'a Tensor,
    /// What followed it.
    pub activation: Activation,
}

impl Normed<'_> {
    fn check(&self, dy: &Tensor) -> Result<()> {
        let Self { x, gamma, beta, .. } = self;
        let floats = [x, gamma, beta, dy].iter().all(|tensor| tensor.dtype() == DType::F32);
        let fits = dy.len() == x.len() && gamma.len() == x.columns() && beta.len() == x.columns();
        ensure!("layer_norm_backward", floats && fits, "x {x:?}, gamma {gamma:?}, beta {beta:?}, dy {dy:?}");
        Ok(())
    }
}

/// `dy` `[n, c]` → dx `[n, c]`.
pub fn layer_norm_backward(norm: Normed<'_>, dy: &Tensor) -> Result<Tensor> {
    norm.check(dy)?;
    let x = norm.x;
    let mut dx = Tensor::uninit(x.device(), x.shape(), DType::F32)?;
    match x.device() {
        Device::Cpu(device) => {
            device.run("layer_norm_backward", work(x.rows(), x.columns()), bytes_of(&[x, dy, &dx]), || {
                cpu(norm, dy.host(), dx.host_mut());
            });
        }
        Device::Gpu(gpu) => {
            for rows in row_chunks(x.rows(), x.row_bytes(), 1, gpu.max_binding()) {
                let [x, dy, dx] = [x, dy, &dx].map(|tensor| Bind::rows(tensor, rows.clone()));
                gpu.dispatch(&Dispatch {
                    variant: &table::PLAIN,
                    entry: "main",
                    bind: &[x, Bind::all(norm.gamma), Bind::all(norm.beta), dy, dx],
                    params: bytemuck::bytes_of(&params(norm, rows.len(), 0, 0)),
                    groups: groups_for(rows.len(), ROWS_PER_GROUP),
                    work: work(rows.len(), norm.x.columns()),
                })?;
            }
        }
    }
    Ok(dx)
}

/// `dy` `[n, c]` → dgamma and dbeta, the rows of `[2, c]`.
pub fn layer_norm_parameters_backward(norm: Normed<'_>, dy: &Tensor) -> Result<Tensor> {
    norm.check(dy)?;
    let x = norm.x;
    let mut out = Tensor::uninit(x.device(), &[2, x.columns()], DType::F32)?;
    match x.device() {
        Device::Cpu(device) => {
            device.run("layer_norm_backward", work(x.rows(), x.columns()), bytes_of(&[x, dy, &out]), || {
                cpu_parameters(norm, dy.host(), out.host_mut());
            });
        }
        Device::Gpu(device) => gpu_parameters(device, norm, dy, &out)?,
    }
    Ok(out)
}

fn work(rows: usize, columns: usize) -> Work {
    Work::Flops(16 * (rows * columns) as u64)
}

fn params(norm: Normed<'_>, rows: usize, block_base: usize, blocks: usize) -> Params {
    Params {
        rows: rows as u32,
        columns: norm.x.columns() as u32,
        activation: norm.activation.code(),
        block_base: block_base as u32,
        blocks: blocks as u32,
        eps: EPS,
    }
}

fn gpu_parameters(gpu: &Gpu, norm: Normed<'_>, dy: &Tensor, out: &Tensor) -> Result<()> {
    let Normed { x, gamma, beta, .. } = norm;
    let (columns, blocks) = (x.columns(), x.rows().div_ceil(BLOCK_ROWS));
    let partial_sums = Tensor::uninit(x.device(), &[blocks, 2, columns], DType::F32)?;
    for rows in row_chunks(x.rows(), x.row_bytes(), 1, gpu.max_binding()) {
        gpu.dispatch(&Dispatch {
            variant: &table::PLAIN,
            entry: "partials",
            bind: &[
                Bind::rows(x, rows.clone()),
                Bind::all(gamma),
                Bind::all(beta),
                Bind::rows(dy, rows.clone()),
                Bind::all(&partial_sums),
            ],
            params: bytemuck::bytes_of(&params(norm, rows.len(), rows.start / BLOCK_ROWS, blocks)),
            groups: groups_for(rows.len(), BLOCK_ROWS),
            work: work(rows.len(), columns),
        })?;
    }
    gpu.dispatch(&Dispatch {
        variant: &table::PLAIN,
        entry: "join",
        bind: &[Bind::all(&partial_sums), Bind::all(out)],
        params: bytemuck::bytes_of(&params(norm, 0, 0, blocks)),
        groups: groups_for(2 * columns, 16),
        work: Work::Flops(partial_sums.len() as u64),
    })
}

/// One row on the CPU: its normalised values, the gradient of what the activation takes, and the row's scale.
struct Row {
    unit: Vec<f32>,
    gradient: Vec<f32>,
    scale: f32,
    /// What the activation takes.
    taken: Vec<f32>,
}

impl Row {
    fn new(columns: usize) -> Self {
        let zeros = || vec![0.0; columns];
        Self { unit: zeros(), gradient: zeros(), scale: 0.0, taken: zeros() }
    }

    #[inline(always)]
    fn read(&mut self, x: &[f32], gamma: &[f32], beta: &[f32], activation: Activation, dy: &[f32]) {
        let columns = x.len();
        let mean = sum(x, |v| v) / columns as f32;
        let variance = sum(x, |v| (v - mean) * (v - mean)) / columns as f32;
        self.scale = 1.0 / (variance + EPS).sqrt();
        for c in 0..columns {
            self.unit[c] = (x[c] - mean) * self.scale;
            self.taken[c] = self.unit[c] * gamma[c] + beta[c];
        }
        self.gradient.copy_from_slice(dy);
        activation.apply_slope(&mut self.gradient, &self.taken);
    }
}

fn cpu(norm: Normed<'_>, dy: &[f32], dx: &mut [f32]) {
    let columns = norm.x.columns();
    if columns == 0 {
        return;
    }
    let [x, gamma, beta] = [norm.x, norm.gamma, norm.beta].map(Tensor::host::<f32>);
    let size = CPU_ROWS * columns;
    dx.par_chunks_mut(size).zip(x.par_chunks(size).zip(dy.par_chunks(size))).for_each(|(dx, (x, dy))| {
        vectorised(|| {
            let mut row = Row::new(columns);
            let mut product = vec![0.0; columns];
            let operands = x.chunks_exact(columns).zip(dy.chunks_exact(columns));
            for (dx, (x, dy)) in dx.chunks_exact_mut(columns).zip(operands) {
                row.read(x, gamma, beta, norm.activation, dy);
                for c in 0..columns {
                    dx[c] = row.gradient[c] * gamma[c];
                    product[c] = dx[c] * row.unit[c];
                }
                let mean = sum(dx, |v| v) / columns as f32;
                let mean_unit = sum(&product, |v| v) / columns as f32;
                for c in 0..columns {
                    dx[c] = row.scale * (dx[c] - mean - row.unit[c] * mean_unit);
                }
            }
        });
    });
}

fn cpu_parameters(norm: Normed<'_>, dy: &[f32], out: &mut [f32]) {
    let columns = norm.x.columns();
    if columns == 0 {
        return;
    }
    let [x, gamma, beta] = [norm.x, norm.gamma, norm.beta].map(Tensor::host::<f32>);
    let size = BLOCK_ROWS * columns;
    let blocks = x.par_chunks(size).zip(dy.par_chunks(size)).map(|(x, dy)| {
        let mut sums = vec![0.0; 2 * columns];
        vectorised(|| {
            let mut row = Row::new(columns);
            let (dgamma, dbeta) = sums.split_at_mut(columns);
            for (x, dy) in x.chunks_exact(columns).zip(dy.chunks_exact(columns)) {
                row.read(x, gamma, beta, norm.activation, dy);
                for c in 0..columns {
                    dgamma[c] += row.gradient[c] * row.unit[c];
                    dbeta[c] += row.gradient[c];
                }
            }
        });
        sums
    });
    // Collected in order, and added one after the other.
    let blocks: Vec<Vec<f32>> = blocks.collect();
    out.fill(0.0);
    for block in blocks {
        out.iter_mut().zip(block).for_each(|(total, sum)| *total += sum);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::{
        agreement::agree_split,
        differences::{check_gradient, weighted_sum},
        layer_norm::layer_norm,
        testing::{Noise, SIZES, cpu, devices, get, put},
    };

    struct Case {
        n: usize,
        c: usize,
        x: Vec<f32>,
        gamma: Vec<f32>,
        beta: Vec<f32>,
        dy: Vec<f32>,
        activation: Activation,
    }

    impl Case {
        fn new(n: usize, c: usize, activation: Activation) -> Self {
            let mut noise = Noise::new((n * 1000 + c) as u64);
            let (x, dy) = (noise.floats(n * c), noise.floats(n * c));
            Self { n, c, x, gamma: noise.floats(c), beta: noise.floats(c), dy, activation }
        }

        fn on<R>(&self, device: &Device, kernel: impl Fn(Normed<'_>, &Tensor) -> R) -> R {
            let [gamma, beta] = [&self.gamma, &self.beta].map(|v| put(device, &[self.c], v));
            let [x, dy] = [&self.x, &self.dy].map(|v| put(device, &[self.n, self.c], v));
            kernel(Normed { x: &x, gamma: &gamma, beta: &beta, activation: self.activation }, &dy)
        }

        /// Bytes of 64 rows, and of the parameters' partial sums over 1,025 rows.
        fn small_binding(&self) -> u64 {
            (64 * 4 * self.c.max(64)) as u64
        }

        /// The formulas in f64: dx, then dgamma and dbeta.
        fn naive(&self) -> (Vec<f64>, Vec<f64>) {
            let c = self.c;
            let (mut dx, mut parameters) = (Vec::new(), vec![0.0; 2 * c]);
            for i in 0..self.n {
                let row: Vec<f64> = self.x[i * c..][..c].iter().map(|v| f64::from(*v)).collect();
                let mean = row.iter().sum::<f64>() / c as f64;
                let variance = row.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / c as f64;
                let scale = 1.0 / (variance + 1e-5).sqrt();
                let unit: Vec<f64> = row.iter().map(|v| (v - mean) * scale).collect();
                let dh: Vec<f64> = (0..c)
                    .map(|j| {
                        let h = unit[j] * f64::from(self.gamma[j]) + f64::from(self.beta[j]);
                        f64::from(self.dy[i * c + j]) * slope(self.activation, h)
                    })
                    .collect();
                let g: Vec<f64> = (0..c).map(|j| dh[j] * f64::from(self.gamma[j])).collect();
                let mean_g = g.iter().sum::<f64>() / c as f64;
                let mean_gu = g.iter().zip(&unit).map(|(g, u)| g * u).sum::<f64>() / c as f64;
                dx.extend((0..c).map(|j| scale * (g[j] - mean_g - unit[j] * mean_gu)));
                for j in 0..c {
                    parameters[j] += dh[j] * unit[j];
                    parameters[c + j] += dh[j];
                }
            }
            (dx, parameters)
        }
    }

    /// The derivative of the activation, GELU's by a central difference in f64 of x Φ(x), whose erf is a sum of its
    /// power series.
    fn slope(activation: Activation, x: f64) -> f64 {
        let gelu = |x: f64| {
            let t = x * std::f64::consts::FRAC_1_SQRT_2;
            let (mut term, mut sum) = (t, t);
            for k in 1..80 {
                term *= -t * t / f64::from(k);
                sum += term / f64::from(2 * k + 1);
            }
            0.5 * x * (1.0 + sum * std::f64::consts::FRAC_2_SQRT_PI)
        };
        match activation {
            Activation::None => 1.0,
            Activation::Gelu => (gelu(x + 1e-4) - gelu(x - 1e-4)) / 2e-4,
            Activation::Relu => f64::from(u8::from(x > 0.0)),
        }
    }

    fn near(actual: &[f32], expected: &[f64], tolerance: f64) {
        assert_eq!(actual.len(), expected.len());
        for (at, (actual, expected)) in actual.iter().zip(expected).enumerate() {
            let close = (f64::from(*actual) - expected).abs() <= tolerance * (1.0 + expected.abs());
            assert!(close, "element {at}: {actual} against {expected}");
        }
    }

    #[test]
    fn every_size_agrees_with_the_formula() {
        for activation in [Activation::None, Activation::Gelu] {
            for n in SIZES {
                for c in [1, 16, 48, 130, 512] {
                    let case = Case::new(n, c, activation);
                    let (dx, parameters) = case.naive();
                    // A row of one column has the scale 1 / sqrt(eps), 316, and as much of its rounding.
                    let tolerance = if c == 1 { 1e-4 } else { 1e-5 };
                    let found = agree_split(tolerance, case.small_binding(), |device| {
                        case.on(device, |norm, dy| layer_norm_backward(norm, dy).unwrap())
                    });
                    near(&found, &dx, f64::from(tolerance));
                    // Sums of up to 1,025 terms of order 1.
                    let found = agree_split(5e-5, case.small_binding(), |device| {
                        case.on(device, |norm, dy| layer_norm_parameters_backward(norm, dy).unwrap())
                    });
                    near(&found, &parameters, 5e-5);
                }
            }
        }
    }

    #[test]
    fn gradients_are_the_finite_differences_of_the_forward() {
        for activation in [Activation::None, Activation::Gelu] {
            let case = Case::new(3, 21, activation);
            let device = cpu();
            let loss = |x: &[f32], gamma: &[f32], beta: &[f32]| {
                let [gamma, beta] = [gamma, beta].map(|v| put(&device, &[case.c], v));
                let y = layer_norm(&put(&device, &[case.n, case.c], x), &gamma, &beta, activation, None).unwrap();
                weighted_sum(&get::<f32>(&y), &case.dy)
            };
            let dx: Vec<f32> = case.on(&device, |norm, dy| get(&layer_norm_backward(norm, dy).unwrap()));
            let parameters: Vec<f32> =
                case.on(&device, |norm, dy| get(&layer_norm_parameters_backward(norm, dy).unwrap()));
            // The scale of a row is near 2, and multiplies itself with every derivative.
            check_gradient(&case.x, &dx, 4e-3, 1e-3, |x| loss(x, &case.gamma, &case.beta));
            check_gradient(&case.gamma, &parameters[..case.c], 1e-2, 1e-3, |gamma| loss(&case.x, gamma, &case.beta));
            check_gradient(&case.beta, &parameters[case.c..], 1e-2, 1e-3, |beta| loss(&case.x, &case.gamma, beta));
        }
    }

    #[test]
    fn a_second_run_gives_the_same_bits() {
        let case = Case::new(1025, 48, Activation::Gelu);
        for device in devices() {
            let run = || case.on(&device, |norm, dy| get::<f32>(&layer_norm_parameters_backward(norm, dy).unwrap()));
            assert_eq!(run(), run());
        }
    }

    #[test]
    fn more_groups_than_one_dimension_holds() {
        // Rows of one element are their own mean: nothing flows back, exactly, and dbeta counts the rows.
        let n = 65_536 * 64 + 1;
        let ones = vec![1.0f32; n];
        for device in devices() {
            let [gamma, beta] = [put(&device, &[1], &[2.0f32]), put(&device, &[1], &[0.25f32])];
            let x = put(&device, &[n, 1], &ones);
            let norm = Normed { x: &x, gamma: &gamma, beta: &beta, activation: Activation::None };
            assert!(get::<f32>(&layer_norm_backward(norm, &x).unwrap()).iter().all(|v| *v == 0.0));
            assert_eq!(get::<f32>(&layer_norm_parameters_backward(norm, &x).unwrap()), [0.0, n as f32]);
        }
    }

    #[test]
    fn operands_that_do_not_fit_are_refused() {
        let device = cpu();
        let x = put(&device, &[2, 3], &[0.0f32; 6]);
        let c = put(&device, &[3], &[0.0f32; 3]);
        let norm = Normed { x: &x, gamma: &c, beta: &c, activation: Activation::None };
        assert!(layer_norm_backward(norm, &c).is_err());
        assert!(layer_norm_parameters_backward(Normed { gamma: &x, ..norm }, &x).is_err());
    }
}
