/* Labels a scan and prints how many points each class has.
 *
 *   segment SCAN [LABELLED.ply]
 *
 * POINTTPA_DEVICE names the device, else it is the GPU of this machine, or the CPU. */
#include <pointtpa.h>

#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Says how far the run is, and counts the steps. */
static void progress(const char *stage, double done, void *user) {
    ++*(unsigned *)user;
    fprintf(stderr, "%3.0f %% %s\n", done * 100.0, stage);
}

/* Never stops; an application looks at its stop button here. */
static bool cancel(void *user) {
    (void)user;
    return false;
}

static int failed(const char *what) {
    fprintf(stderr, "%s: %s\n", what, pointtpa_last_error());
    return EXIT_FAILURE;
}

static int print_counts(const PointtpaSegmenter *segmenter, const PointtpaSegmentation *found) {
    size_t points = pointtpa_segmentation_len(found), classes = pointtpa_segmenter_classes(segmenter);
    int32_t *labels = malloc(points * sizeof *labels);
    size_t *counts = calloc(classes, sizeof *counts);
    int status = EXIT_SUCCESS;
    if (labels == NULL || counts == NULL) {
        fprintf(stderr, "out of memory\n");
        status = EXIT_FAILURE;
    } else if (pointtpa_segmentation_labels(found, labels, points) != POINTTPA_STATUS_OK) {
        status = failed("labels");
    } else {
        for (size_t i = 0; i < points; ++i) {
            if (labels[i] >= 0) ++counts[labels[i]];
        }
        for (size_t class = 0; class < classes; ++class) {
            PointtpaClass about;
            if (counts[class] > 0 && pointtpa_segmenter_class(segmenter, class, &about) == POINTTPA_STATUS_OK) {
                printf("%s %zu\n", about.name, counts[class]);
            }
        }
    }
    free(counts);
    free(labels);
    return status;
}

int main(int argc, char **argv) {
    if (argc < 2) {
        fprintf(stderr, "segment SCAN [LABELLED.ply]\n");
        return 2;
    }
    PointtpaDevice *device = NULL;
    PointtpaSegmenter *segmenter = NULL;
    PointtpaCloud *cloud = NULL;
    PointtpaSegmentation *found = NULL;
    unsigned steps = 0;
    PointtpaOptions options = {.progress = progress, .cancel = cancel, .user = &steps};
    int status = EXIT_SUCCESS;

    if (pointtpa_device_open(getenv("POINTTPA_DEVICE"), 0, &device) != POINTTPA_STATUS_OK) {
        status = failed("device");
    } else if (pointtpa_segmenter_open(device, NULL, &segmenter) != POINTTPA_STATUS_OK) {
        status = failed("model");
    } else if (pointtpa_cloud_read(argv[1], &cloud) != POINTTPA_STATUS_OK) {
        status = failed("scan");
    } else if (pointtpa_segment(segmenter, cloud, &options, &found) != POINTTPA_STATUS_OK) {
        status = failed("segment");
    } else {
        status = print_counts(segmenter, found);
        fprintf(stderr, "%zu points in %zu voxels, %u steps\n", pointtpa_cloud_len(cloud),
                pointtpa_segmentation_voxels(found), steps);
        const char *warning;
        for (size_t i = 0; (warning = pointtpa_segmentation_warning(found, i)) != NULL; ++i) {
            fprintf(stderr, "%s\n", warning);
        }
        if (argc > 2 && pointtpa_cloud_write(cloud, found, segmenter, argv[2]) != POINTTPA_STATUS_OK) {
            status = failed("write");
        }
    }
    /* What was not made is null, and freeing that is nothing. */
    pointtpa_segmentation_free(found);
    pointtpa_cloud_free(cloud);
    pointtpa_segmenter_free(segmenter);
    pointtpa_device_free(device);
    return status;
}
