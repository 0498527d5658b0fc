// Online steps of a self-organising map: row after row, the cell that is nearest and those about it
// on the grid move towards the row. What changes a cell measures its distance to the next row too,
// so that weights go through the caches once a row.
// Built by glial.core.native for the processor that it runs on.
#include <math.h>
#include <stdint.h>
#include <string.h>

typedef int64_t count;

// Where rows are always nothing, weights shrink until they are too small to be told from nothing in
// the usual form; arithmetic with such is many times slower, so it is done as if they were nothing.
#if defined(__SSE2__)
#include <xmmintrin.h>
#define FLUSH unsigned held = _mm_getcsr(); _mm_setcsr(held | 0x8040)
#define RESTORE _mm_setcsr(held)
#else
#define FLUSH (void)0
#define RESTORE (void)0
#endif

// How much each cell learns of what one wins: a Gaussian of the squared distance, or a square of
// cells nearer than the radius in both directions.
static void influences(count cells, count winner, const double *places, double radius, int bubble,
                       double *found) {
  const double *centre = places + 2 * winner;
  for (count cell = 0; cell < cells; cell++) {
    double x = places[2 * cell] - centre[0], y = places[2 * cell + 1] - centre[1];
    found[cell] = bubble ? fabs(x) < radius && fabs(y) < radius
                         : exp(-(x * x + y * y) / (2 * radius * radius));
  }
}

// With room for a line of influences for each cell, lines are kept for as long as the radius stays;
// known tells which there are. Without it there is one line, and known is one byte.
#define ONLINE(NAME, REAL) \
  void NAME(count num_rows, count cells, count size, const REAL *rows, REAL *weights, \
            const double *places, const double *radii, const double *rates, int bubble, \
            count lines, double *influence, char *known, REAL *found) { \
    FLUSH; \
    count nearest = 0; \
    double least = INFINITY; \
    for (count cell = 0; num_rows && cell < cells; cell++) { \
      const REAL *own = weights + cell * size; \
      REAL sum = 0; \
      _Pragma("omp simd reduction(+ : sum)") for (count i = 0; i < size; i++) { \
        REAL gap = rows[i] - own[i]; \
        sum += gap * gap; \
      } \
      if (sum < least) least = sum, nearest = cell; \
    } \
    for (count row = 0; row < num_rows; row++) { \
      const REAL *x = rows + row * size, *next = row + 1 < num_rows ? x + size : x; \
      count line = lines > 1 ? nearest : 0; \
      double *near = influence + line * cells; \
      if (row == 0 || radii[row] != radii[row - 1]) memset(known, 0, lines); \
      if (lines == 1 || !known[line]) { \
        influences(cells, nearest, places, radii[row], bubble, near); \
        known[line] = 1; \
      } \
      found[row] = (REAL)least; \
      least = INFINITY; \
      for (count cell = 0; cell < cells; cell++) { \
        REAL share = (REAL)(rates[row] * near[cell]); \
        REAL *own = weights + cell * size, sum = 0; \
        _Pragma("omp simd reduction(+ : sum)") for (count i = 0; i < size; i++) { \
          REAL moved = own[i] + share * (x[i] - own[i]); \
          REAL gap = next[i] - moved; \
          own[i] = moved; \
          sum += gap * gap; \
        } \
        if (sum < least) least = sum, nearest = cell; \
      } \
    } \
    RESTORE; \
  }

ONLINE(online_float, float)
ONLINE(online_double, double)
