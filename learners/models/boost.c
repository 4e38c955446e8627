// SPDX-License-Identifier: GPL-2.0-or-later
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "cleanup.h"
#include "digits.h"
#include "exact.h"
#include "model.h"
#include "net.h"

/* Gradient boosting of small trees on the digits (Friedman 2001, algorithm 6): a step fits one
 * regression tree per class to the residuals right - probability and adds it, times the learning
 * rate, to the scores of the class.
 *
 * A pixel has 17 levels, so the best cut of a node is found from a histogram of its images by level,
 * for all pixels at once: the cut with the largest n_l n_r / n (mean_l - mean_r)^2.  A tree is grown
 * level by level, every node to the full depth unless no cut improves it; where[i] says in which
 * node of the level image i is.  A leaf's value is one Newton step on the class's loss,
 * (K-1)/K sum r / sum |r| (1 - |r|).  There is nothing random: the seed has no effect. */

#define DEPTH_MOST 6
#define NODES_MOST (1u << DEPTH_MOST)
/* Cuts that separate the same images are equal but for rounding: the first of them is taken. */
#define TIE 1e-9
#define NEWTON_LEAST 1e-150

enum { LEARNING_RATE, DEPTH };

static const struct setting settings[] = {
	[LEARNING_RATE] = {.name = "learning-rate",
		.about = "share of each tree that counts",
		.least = 1e-6,
		.most = 1,
		.standard = 0.005},
	[DEPTH] = {.name = "depth",
		.about = "of the trees; 1 is a stump",
		.least = 1,
		.most = DEPTH_MOST,
		.standard = 1,
		.is_whole = true},
};

/* An image goes right if its pixel is above the level; DIGITS_LEVELS sends all to the left. */
struct cut {
	uint8_t pixel;
	uint8_t level;
};

struct side {
	const struct digits_part *images;
	double *scores;        /* owned; n x classes */
	double *probabilities; /* owned; n x classes */
	uint8_t *where;        /* owned; n: the node of each image */
};

struct bin {
	double sum; /* of the residuals */
	double n;
};

struct boost {
	struct learner learner; /* first: the model's functions get it */
	struct digits digits;
	struct side train, held_out;
	double *residuals;                                /* of the training images for one class */
	struct bin (*bins)[DIGITS_PIXELS][DIGITS_LEVELS]; /* of each node of a level */
	double rate;
	size_t depth;
};

static void side_done(struct side *side)
{
	free(side->scores);
	free(side->probabilities);
	free(side->where);
}

static struct learner *boost_close(struct learner *learner)
{
	struct boost *boost = (struct boost *)learner;

	if (!boost)
		return NULL;
	side_done(&boost->train);
	side_done(&boost->held_out);
	digits_done(&boost->digits);
	free(boost->residuals);
	free(boost->bins);
	free(boost);
	return NULL;
}

/* Scores start at the logarithm of each class's share in training. */
static int side_init(struct side *side, const struct digits_part *images, const double start[])
{
	size_t n = images->n * DIGITS_CLASSES;

	side->images = images;
	side->scores = calloc(n, sizeof(side->scores[0]));
	side->probabilities = calloc(n, sizeof(side->probabilities[0]));
	side->where = calloc(images->n, sizeof(side->where[0]));
	if (!side->scores || !side->probabilities || !side->where)
		return -ENOMEM;
	for (size_t i = 0; i < n; i++)
		side->scores[i] = start[i % DIGITS_CLASSES];
	return 0;
}

static void start_scores(const struct digits_part *train, double ret_start[DIGITS_CLASSES])
{
	double counts[DIGITS_CLASSES] = {0};

	for (size_t i = 0; i < train->n; i++)
		counts[train->labels[i]]++;
	/* A class that does not occur counts as half an image. */
	for (size_t i = 0; i < DIGITS_CLASSES; i++)
		ret_start[i] = exact_log((counts[i] > 0 ? counts[i] : 0.5) / (double)train->n);
}

static int boost_init(struct boost *boost, const struct options *options, struct fault *fault)
{
	double start[DIGITS_CLASSES];
	int r;

	r = digits_read(options->data, &boost->digits, fault);
	if (r < 0)
		return r;
	boost->rate = options->values[LEARNING_RATE];
	boost->depth = (size_t)options->values[DEPTH];
	boost->residuals = calloc(boost->digits.train.n, sizeof(boost->residuals[0]));
	boost->bins = calloc((size_t)1 << (boost->depth - 1), sizeof(boost->bins[0]));
	start_scores(&boost->digits.train, start);
	if (!boost->residuals || !boost->bins ||
		side_init(&boost->train, &boost->digits.train, start) < 0 ||
		side_init(&boost->held_out, &boost->digits.held_out, start) < 0)
		return fault_errno(fault, -ENOMEM, "make the scores");
	return 0;
}

static int boost_open(
	const struct options *options, struct learner **ret_learner, struct fault *fault)
{
	struct boost *boost = calloc(1, sizeof(*boost));
	int r;

	if (!boost)
		return fault_errno(fault, -ENOMEM, "start");
	r = boost_init(boost, options, fault);
	if (r < 0) {
		boost_close(&boost->learner);
		return r;
	}
	*ret_learner = &boost->learner;
	return 0;
}

/* The mean loss; leaves the probabilities behind. */
static double side_loss(struct side *side)
{
	size_t n = side->images->n;

	memcpy(side->probabilities, side->scores,
		n * DIGITS_CLASSES * sizeof(side->probabilities[0]));
	return net_softmax(side->probabilities, side->images->labels, n, DIGITS_CLASSES) /
		(double)n;
}

static void fill_bins(struct boost *boost, size_t n_nodes)
{
	const struct digits_part *images = boost->train.images;

	memset(boost->bins, 0, n_nodes * sizeof(boost->bins[0]));
	for (size_t i = 0; i < images->n; i++) {
		const uint8_t *levels = images->levels + i * DIGITS_PIXELS;
		struct bin(*bins)[DIGITS_LEVELS] = boost->bins[boost->train.where[i]];

		for (size_t pixel = 0; pixel < DIGITS_PIXELS; pixel++) {
			bins[pixel][levels[pixel]].sum += boost->residuals[i];
			bins[pixel][levels[pixel]].n++;
		}
	}
}

/* The best cut of a node by one pixel, if it beats *best. */
static void try_pixel(
	const struct bin bins[DIGITS_LEVELS], uint8_t pixel, double *best, struct cut *ret_cut)
{
	struct bin all = {0}, left = {0};

	for (size_t level = 0; level < DIGITS_LEVELS; level++) {
		all.sum += bins[level].sum;
		all.n += bins[level].n;
	}
	for (uint8_t level = 0; level + 1 < DIGITS_LEVELS; level++) {
		double right_n, difference, gain;

		left.sum += bins[level].sum;
		left.n += bins[level].n;
		right_n = all.n - left.n;
		if (left.n < 1 || right_n < 1)
			continue;
		difference = left.sum / left.n - (all.sum - left.sum) / right_n;
		gain = left.n * right_n / all.n * difference * difference;
		if (gain > *best * (1 + TIE)) {
			*best = gain;
			*ret_cut = (struct cut){pixel, level};
		}
	}
}

/* A cut between levels that do not occur in the node goes in their middle. */
static uint8_t to_middle(const struct bin bins[DIGITS_LEVELS], uint8_t level)
{
	uint8_t next = (uint8_t)(level + 1);

	while (next + 1 < DIGITS_LEVELS && bins[next].n < 1)
		next++;
	return (uint8_t)((level + next) / 2);
}

static struct cut best_cut(struct bin (*bins)[DIGITS_LEVELS])
{
	struct cut cut = {0, DIGITS_LEVELS};
	double best = 0;

	for (uint8_t pixel = 0; pixel < DIGITS_PIXELS; pixel++)
		try_pixel(bins[pixel], pixel, &best, &cut);
	if (best > 0)
		cut.level = to_middle(bins[cut.pixel], cut.level);
	return cut;
}

/* Moves each image from its node to the one below. */
static void descend(struct side *side, const struct cut cuts[])
{
	for (size_t i = 0; i < side->images->n; i++) {
		struct cut cut = cuts[side->where[i]];
		bool right = side->images->levels[i * DIGITS_PIXELS + cut.pixel] > cut.level;

		side->where[i] = (uint8_t)(2 * side->where[i] + right);
	}
}

static void add_leaves(struct side *side, size_t class, const double leaves[])
{
	for (size_t i = 0; i < side->images->n; i++)
		side->scores[i * DIGITS_CLASSES + class] += leaves[side->where[i]];
}

static void leaf_values(const struct boost *boost, double ret_leaves[NODES_MOST])
{
	double sums[NODES_MOST] = {0}, curvatures[NODES_MOST] = {0};

	for (size_t i = 0; i < boost->train.images->n; i++) {
		double residual = boost->residuals[i], size = fabs(residual);

		sums[boost->train.where[i]] += residual;
		curvatures[boost->train.where[i]] += size * (1 - size);
	}
	for (size_t leaf = 0; leaf < NODES_MOST; leaf++)
		ret_leaves[leaf] = curvatures[leaf] < NEWTON_LEAST
			? 0
			: boost->rate * (DIGITS_CLASSES - 1.0) / DIGITS_CLASSES * sums[leaf] /
				curvatures[leaf];
}

static void grow_tree(struct boost *boost, size_t class)
{
	struct side *train = &boost->train;
	double leaves[NODES_MOST];

	for (size_t i = 0; i < train->images->n; i++)
		boost->residuals[i] = (train->images->labels[i] == class ? 1 : 0) -
			train->probabilities[i * DIGITS_CLASSES + class];
	memset(train->where, 0, train->images->n);
	memset(boost->held_out.where, 0, boost->held_out.images->n);
	for (size_t level = 0; level < boost->depth; level++) {
		struct cut cuts[NODES_MOST / 2];

		fill_bins(boost, (size_t)1 << level);
		for (size_t node = 0; node < (size_t)1 << level; node++)
			cuts[node] = best_cut(boost->bins[node]);
		descend(train, cuts);
		descend(&boost->held_out, cuts);
	}
	leaf_values(boost, leaves);
	add_leaves(train, class, leaves);
	add_leaves(&boost->held_out, class, leaves);
}

static void boost_step(struct learner *learner)
{
	struct boost *boost = (struct boost *)learner;

	(void)side_loss(&boost->train);
	for (size_t class = 0; class < DIGITS_CLASSES; class ++)
		grow_tree(boost, class);
}

static double boost_loss(struct learner *learner)
{
	return side_loss(&((struct boost *)learner)->held_out);
}

static double boost_probe(struct learner *learner, double ret_gradient[])
{
	(void)learner;
	(void)ret_gradient;
	return NAN; /* trees have no weights to move */
}

const struct model model_boost = {
	.name = "boost",
	.about = "gradient-boosted trees on handwritten digits",
	.steps = 16000,
	.report_every = 100,
	.settings = settings,
	.n_settings = ARRAY_LENGTH(settings),
	.open = boost_open,
	.step = boost_step,
	.loss = boost_loss,
	.probe = boost_probe,
	.close = boost_close,
};
