// A gated recurrent unit through time, forwards and backwards: each thread takes some rows through
// all times, so that threads never wait for each other and its states stay in its caches.
// Built by glial.core.native for the processor that it runs on; vectors are as wide as the machine's.
#include <stdint.h>

#if defined(__AVX512F__)
#define V 16 // floats of a vector
#elif defined(__AVX__)
#define V 8
#else
#define V 4
#endif
#define ROWS 6     // of a block that is kept in registers
#define WIDE (4 * V) // columns of such a block, and of a panel of weights

typedef int64_t count;
typedef float vec __attribute__((vector_size(V * 4), aligned(4), may_alias));
typedef int32_t ints __attribute__((vector_size(V * 4), aligned(4), may_alias));

static inline vec at(const float *place) { return *(const vec *)place; }
static inline void put(float *place, vec value) { *(vec *)place = value; }
static inline vec either(ints which, vec yes, vec no) {
  return (vec)((which & (ints)yes) | (~which & (ints)no));
}

// e to the power of x in -87 to 88: 2^n times a polynomial of what is left, |left| < 0.35.
static inline vec power(vec x) {
  x = either(x > 88, (vec){0} + 88, either(x < -87, (vec){0} - 87, x));
  vec n = x * 1.44269504f + 12582912.0f; // the sum has no fraction bits left
  n -= 12582912.0f;
  vec f = x - n * 0.693359375f + n * 2.12194440e-4f;
  vec p = 1.9875691500e-4f * f + 1.3981999507e-3f;
  p = p * f + 8.3334519073e-3f;
  p = p * f + 4.1665795894e-2f;
  p = p * f + 1.6666665459e-1f;
  p = p * f + 5.0000001201e-1f;
  p = p * f * f + f + 1.0f;
  ints shift = (__builtin_convertvector(n, ints) + 127) << 23;
  return p * (vec)shift;
}

static inline vec logistic(vec x) { return 1.0f / (1.0f + power(-x)); }

static inline vec tangent(vec x) {
  vec z = x * x;
  vec p = -5.70498872745e-3f * z + 2.06390887954e-2f;
  p = p * z - 5.37397155531e-2f;
  p = p * z + 1.33314422036e-1f;
  p = p * z - 3.33332819422e-1f;
  vec near = p * z * x + x, far = 1.0f - 2.0f / (1.0f + power(2.0f * x));
  return either(z < 0.390625f, near, far);
}

// c[M, W * V] += a[M, k] panel[k, WIDE's first W * V]
#define BLOCK(M, W) \
  static void block##M##_##W(count k, const float *a, count lda, const float *panel, float *c, \
                             count ldc) { \
    vec sum[M][W]; \
    for (int i = 0; i < M; i++) \
      for (int j = 0; j < W; j++) sum[i][j] = at(c + i * ldc + j * V); \
    for (count p = 0; p < k; p++) { \
      vec w[W]; \
      for (int j = 0; j < W; j++) w[j] = at(panel + p * (W * V) + j * V); \
      for (int i = 0; i < M; i++) { \
        float x = a[i * lda + p]; \
        for (int j = 0; j < W; j++) sum[i][j] += x * w[j]; \
      } \
    } \
    for (int i = 0; i < M; i++) \
      for (int j = 0; j < W; j++) put(c + i * ldc + j * V, sum[i][j]); \
  }
#define BLOCKS(W) BLOCK(1, W) BLOCK(2, W) BLOCK(3, W) BLOCK(4, W) BLOCK(5, W) BLOCK(6, W)
#define NAMES(W) {0, block1_##W, block2_##W, block3_##W, block4_##W, block5_##W, block6_##W}
BLOCKS(1) BLOCKS(2) BLOCKS(3) BLOCKS(4)
typedef void block(count, const float *, count, const float *, float *, count);
static block *const blocks[5][ROWS + 1] = {{0}, NAMES(1), NAMES(2), NAMES(3), NAMES(4)};

// Weights [k, n] as panels of WIDE columns (the last perhaps narrower), each without gaps.
void pack(const float *from, count row, count column, count k, count n, float *to) {
  for (count j = 0; j < n; j += WIDE) {
    count wide = n - j < WIDE ? n - j : WIDE;
    for (count p = 0; p < k; p++)
      for (count q = 0; q < wide; q++) *to++ = from[p * row + (j + q) * column];
  }
}

// c[m, n] += a[m, k] b[k, n], b in panels
static void add_product(count m, count n, count k, const float *a, count lda, const float *panels,
                        float *c, count ldc) {
  for (count j = 0; j < n; j += WIDE) {
    count wide = (n - j < WIDE ? n - j : WIDE) / V;
    for (count i = 0; i < m; i += ROWS) {
      count high = m - i < ROWS ? m - i : ROWS;
      blocks[wide][high](k, a + i * lda, lda, panels + j * k, c + i * ldc + j, ldc);
    }
  }
}

typedef struct {
  count steps, rows, units, threads;
  const float *panels;  // of the weights that states, or slopes, are multiplied by
  float *gates;         // [step, row, 3 * units]
  float *candidates;    // [step, row, units]
  float *states;        // [step + 1, row, units]
  const float *grads;   // [step, row, units]; this and what follows are read backwards alone
  float *slopes;        // [step, row, 3 * units]
  float *inner;         // [step, row, units]
  float *arrived;       // [row, units]
} unit;

static void rows_of(const unit *u, count thread, count *from, count *to) {
  count each = (u->rows + u->threads - 1) / u->threads;
  *from = thread * each < u->rows ? thread * each : u->rows;
  *to = *from + each < u->rows ? *from + each : u->rows;
}

// Gates hold what comes of the inputs and biases, of the candidate the state's bias alone, and
// candidates what comes of the inputs; all are replaced by their values, states filled in.
static void forward_rows(const unit *u, count from, count to) {
  count n = u->units, m = to - from;
  for (count time = 0; time < u->steps; time++) {
    const float *before = u->states + (time * u->rows + from) * n;
    float *after = u->states + ((time + 1) * u->rows + from) * n;
    float *gates = u->gates + (time * u->rows + from) * 3 * n;
    float *found = u->candidates + (time * u->rows + from) * n;
    add_product(m, 3 * n, n, before, n, u->panels, gates, 3 * n);
    for (count i = 0; i < m; i++)
      for (count j = 0; j < n; j += V) {
        float *gate = gates + i * 3 * n + j;
        count place = i * n + j;
        vec reset = logistic(at(gate)), update = logistic(at(gate + n));
        vec candidate = tangent(at(found + place) + reset * at(gate + 2 * n));
        put(gate, reset);
        put(gate + n, update);
        put(found + place, candidate);
        put(after + place, candidate + update * (at(before + place) - candidate));
      }
  }
}

// From the last time to the first: slopes are the gradients of the three sums with the state,
// inner those of the candidate's sum, arrived what goes on to the time before.
static void backward_rows(const unit *u, count from, count to) {
  count n = u->units, m = to - from;
  float *arrived = u->arrived + from * n;
  for (count time = u->steps - 1; time >= 0; time--) {
    count first = time * u->rows + from;
    const float *before = u->states + first * n, *gates = u->gates + first * 3 * n;
    const float *found = u->candidates + first * n, *grads = u->grads + first * n;
    float *slopes = u->slopes + first * 3 * n, *inner = u->inner + first * n;
    for (count i = 0; i < m; i++)
      for (count j = 0; j < n; j += V) {
        const float *gate = gates + i * 3 * n + j;
        float *slope = slopes + i * 3 * n + j;
        count place = i * n + j;
        vec reset = at(gate), update = at(gate + n), candidate = at(found + place);
        vec came = at(arrived + place) + at(grads + place);
        vec of_candidate = came * (1.0f - update) * (1.0f - candidate * candidate);
        put(inner + place, of_candidate);
        put(slope, of_candidate * at(gate + 2 * n) * reset * (1.0f - reset));
        put(slope + n, came * (at(before + place) - candidate) * update * (1.0f - update));
        put(slope + 2 * n, of_candidate * reset);
        put(arrived + place, came * update);
      }
    add_product(m, n, 3 * n, slopes, 3 * n, u->panels, arrived, n);
  }
}

void gru_forward(const unit *u) {
#pragma omp parallel for num_threads(u->threads) schedule(static, 1) if (u->threads > 1)
  for (count thread = 0; thread < u->threads; thread++) {
    count from, to;
    rows_of(u, thread, &from, &to);
    if (from < to) forward_rows(u, from, to);
  }
}

void gru_backward(const unit *u) {
#pragma omp parallel for num_threads(u->threads) schedule(static, 1) if (u->threads > 1)
  for (count thread = 0; thread < u->threads; thread++) {
    count from, to;
    rows_of(u, thread, &from, &to);
    if (from < to) backward_rows(u, from, to);
  }
}
