"""The parts the networks are built from: a dense layer, dropout, the LSTM with its gradient written out, the GRU, and
the causal convolution.

Arrays are time-major, `(bar, batch, feature)`: a recurrence walks along the first axis.
"""

from __future__ import annotations

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray


class Dense(eqx.Module):
    """`x @ kernel + bias`, Glorot-uniform kernel and zero bias."""

    kernel: Float[Array, "input output"]
    bias: Float[Array, " output"]

    def __init__(self, inputs: int, outputs: int, key: PRNGKeyArray) -> None:
        self.kernel = jax.nn.initializers.glorot_uniform()(key, (inputs, outputs))
        self.bias = jnp.zeros(outputs)

    def __call__(self, x: Float[Array, "... input"]) -> Float[Array, "... output"]:
        """The affine map along the last axis."""
        return x @ self.kernel + self.bias


def dropout(x: Float[Array, "..."], rate: float, key: PRNGKeyArray | None) -> Float[Array, "..."]:
    """Each value set to zero with probability `rate`, the others divided by `1 - rate`; without a key, `x` itself.

    Srivastava et al. 2014, "Dropout: a simple way to prevent neural networks from overfitting", JMLR 15. The
    probability is a multiple of 2**-16: 16 random bits a value cost half of 32.
    """
    if key is None:
        return x
    kept = jax.random.bits(key, x.shape, jnp.uint16) >= round(rate * 2**16)
    return jnp.where(kept, x / (1 - rate), 0.0)


class LSTM(eqx.Module):
    """Long short-term memory from zero state, as Keras lays it out: gates in the order input, forget, cell, output.

        i, f, o = sigmoid(a_i), sigmoid(a_f), sigmoid(a_o)      a = x[t] @ kernel + h[t-1] @ recurrent + bias
        c[t] = f c[t-1] + i tanh(a_c)
        h[t] = o tanh(c[t])

    Glorot-uniform kernel, orthogonal recurrent kernel, zero bias but for the forget gate's ones. Hochreiter and
    Schmidhuber 1997, "Long short-term memory", Neural Computation 9; the forget gate by Gers et al. 2000, its bias of
    one by Jozefowicz et al. 2015.
    """

    kernel: Float[Array, "input 4*unit"]
    recurrent: Float[Array, "unit 4*unit"]
    bias: Float[Array, " 4*unit"]

    def __init__(self, inputs: int, units: int, key: PRNGKeyArray) -> None:
        kernel_key, recurrent_key = jax.random.split(key)
        self.kernel = jax.nn.initializers.glorot_uniform()(kernel_key, (inputs, 4 * units))
        self.recurrent = jax.nn.initializers.orthogonal()(recurrent_key, (units, 4 * units))
        self.bias = jnp.zeros(4 * units).at[units : 2 * units].set(1.0)

    def __call__(self, x: Float[Array, "bar batch input"]) -> Float[Array, "bar batch unit"]:
        """The hidden state after each bar."""
        return _recur(self.recurrent, x @ self.kernel + self.bias)


@jax.custom_vjp
def _recur(
    recurrent: Float[Array, "unit 4*unit"], drive: Float[Array, "bar batch 4*unit"]
) -> Float[Array, "bar batch unit"]:
    """The hidden states that `drive`, the inputs' share of the gates, leads to."""
    return _forward(recurrent, drive)[0]


def _forward(
    recurrent: Float[Array, "unit 4*unit"], drive: Float[Array, "bar batch 4*unit"]
) -> tuple[Float[Array, "bar batch unit"], Float[Array, "bar batch unit"], Float[Array, "bar batch 4*unit"]]:
    """Hidden states, cell states and open gates after each bar.

    One tanh serves all four gates, since sigmoid(a) = tanh(a / 2) / 2 + 1 / 2.
    """
    units = recurrent.shape[0]
    slope = jnp.full(4 * units, 0.5).at[2 * units : 3 * units].set(1.0)
    level = jnp.full(4 * units, 0.5).at[2 * units : 3 * units].set(0.0)
    weights, drive = recurrent * slope, drive * slope

    def step(carry: tuple[Array, Array], drive_now: Array) -> tuple[tuple[Array, Array], tuple[Array, Array, Array]]:
        hidden, cell = carry
        gates = jnp.tanh(drive_now + hidden @ weights) * slope + level
        i, f, g, o = jnp.split(gates, 4, axis=-1)
        cell = f * cell + i * g
        hidden = o * jnp.tanh(cell)
        return (hidden, cell), (hidden, cell, gates)

    zero = jnp.zeros((*drive.shape[1:-1], units))
    return jax.lax.scan(step, (zero, zero), drive)[1]


def _recur_forward(
    recurrent: Float[Array, "unit 4*unit"], drive: Float[Array, "bar batch 4*unit"]
) -> tuple[Float[Array, "bar batch unit"], tuple[Array, ...]]:
    hidden, cell, gates = _forward(recurrent, drive)
    return hidden, (recurrent, hidden, cell, gates)


def _recur_backward(
    kept: tuple[Array, ...], pull: Float[Array, "bar batch unit"]
) -> tuple[Float[Array, "unit 4*unit"], Float[Array, "bar batch 4*unit"]]:
    """Back through time. The recurrent kernel's gradient is one product over all bars, not a sum of one a bar."""
    recurrent, hidden, cell, gates = kept
    # Behind the barrier the transpose is made once; without it XLA makes it anew at every bar.
    transposed = jax.lax.optimization_barrier(recurrent.T)
    zero = jnp.zeros_like(hidden[:1])
    cell_before, hidden_before = (jnp.concatenate([zero, state[:-1]]) for state in (cell, hidden))

    def step(carry: tuple[Array, Array], now: tuple[Array, ...]) -> tuple[tuple[Array, Array], Array]:
        d_hidden, d_cell = carry
        pull_now, gates_now, cell_now, cell_last = now
        i, f, g, o = jnp.split(gates_now, 4, axis=-1)
        d_hidden = d_hidden + pull_now
        bent = jnp.tanh(cell_now)
        d_cell = d_cell + d_hidden * o * (1 - bent * bent)
        d_drive = jnp.concatenate(
            [
                d_cell * g * i * (1 - i),
                d_cell * cell_last * f * (1 - f),
                d_cell * i * (1 - g * g),
                d_hidden * bent * o * (1 - o),
            ],
            axis=-1,
        )
        return (d_drive @ transposed, d_cell * f), d_drive

    _, d_drive = jax.lax.scan(step, (zero[0], zero[0]), (pull, gates, cell, cell_before), reverse=True)
    return jnp.einsum("tbh,tbg->hg", hidden_before, d_drive), d_drive


_recur.defvjp(_recur_forward, _recur_backward)


class GRU(eqx.Module):
    """Gated recurrent unit from zero state, as Keras lays it out with `reset_after=True`: gates update, reset, new.

        z, r = sigmoid(a_z + b_z), sigmoid(a_r + b_r)       a = x[t] @ kernel + bias,  b = h[t-1] @ recurrent + inner
        h[t] = z h[t-1] + (1 - z) tanh(a_n + r b_n)

    Glorot-uniform kernel, orthogonal recurrent kernel, zero biases.
    """

    kernel: Float[Array, "input 3*unit"]
    recurrent: Float[Array, "unit 3*unit"]
    bias: Float[Array, " 3*unit"]
    inner: Float[Array, " 3*unit"]

    def __init__(self, inputs: int, units: int, key: PRNGKeyArray) -> None:
        kernel_key, recurrent_key = jax.random.split(key)
        self.kernel = jax.nn.initializers.glorot_uniform()(kernel_key, (inputs, 3 * units))
        self.recurrent = jax.nn.initializers.orthogonal()(recurrent_key, (units, 3 * units))
        self.bias = jnp.zeros(3 * units)
        self.inner = jnp.zeros(3 * units)

    def __call__(self, x: Float[Array, "bar batch input"]) -> Float[Array, "bar batch unit"]:
        """The hidden state after each bar."""

        def step(hidden: Array, drive: Array) -> tuple[Array, Array]:
            a_z, a_r, a_n = jnp.split(drive, 3, axis=-1)
            b_z, b_r, b_n = jnp.split(hidden @ self.recurrent + self.inner, 3, axis=-1)
            update = jax.nn.sigmoid(a_z + b_z)
            new = jnp.tanh(a_n + jax.nn.sigmoid(a_r + b_r) * b_n)
            hidden = update * hidden + (1 - update) * new
            return hidden, hidden

        drive = x @ self.kernel + self.bias
        return jax.lax.scan(step, jnp.zeros((*x.shape[1:-1], len(self.recurrent))), drive)[1]


class CausalConvolution(eqx.Module):
    """`x[t] @ kernel[0] + x[t-d] @ kernel[1] + x[t-2d] @ kernel[2] + bias`, zeros before the first bar."""

    kernel: Float[Array, "3 input output"]
    bias: Float[Array, " output"]
    dilation: int = eqx.field(static=True)

    def __init__(self, inputs: int, outputs: int, dilation: int, key: PRNGKeyArray) -> None:
        self.kernel = jax.nn.initializers.glorot_uniform(in_axis=(0, 1), out_axis=2)(key, (3, inputs, outputs))
        self.bias = jnp.zeros(outputs)
        self.dilation = dilation

    def __call__(self, x: Float[Array, "bar batch input"]) -> Float[Array, "bar batch output"]:
        """The convolution at each bar, which sees none after itself."""
        padded = jnp.concatenate([jnp.zeros((2 * self.dilation, *x.shape[1:])), x])
        lags = [padded[2 * self.dilation - lag : len(padded) - lag] for lag in (0, self.dilation, 2 * self.dilation)]
        return jnp.einsum("ltbi,lio->tbo", jnp.stack(lags), self.kernel) + self.bias
