/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include "shape.h"

/* What the forecast shares with its calibration (calibrate/). */

/* The remaining need in units of the CPU time used so far falls into one of these classes:
 * log(need / used) in bins of half a unit with edges from -3.5 to 5, open at both ends; or never. */
#define N_BINS 19
#define N_CLASSES (N_BINS + 1)
#define N_HIDDEN 20
#define FIRST_EDGE (-3.5)
#define EDGE_STEP 0.5

/* A net of one hidden layer: tanh, then softmax. The last column of each is the constant. */
extern const float forecast_hidden[N_HIDDEN][N_FEATURES + 1];
extern const float forecast_output[N_CLASSES][N_HIDDEN + 1];
