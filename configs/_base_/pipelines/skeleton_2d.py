# Pipelines of 2D skeletons for every stream; a config picks its own with
# `data = {{_base_.stream.<kind>.<stream>}}`; naming its stream (`stream = 'b'`) then drops the others.


def pipelines(*reading):
    left_kp, right_kp = [1, 3, 5, 7, 9, 11, 13, 15], [2, 4, 6, 8, 10, 12, 14, 16]

    def steps(name, *random, **sampling):
        return dict(
            pipeline=[
                *reading,
                dict(type='UniformSampleFrames', clip_len=100, **sampling),
                dict(type='PoseDecode'),
                *random,
                dict(type='KineticsTransform'),
                dict(type='GenSkeFeat', dataset='coco_new', feats=[name]),
                dict(type='FormatGCNInput', num_person=2),
                dict(type='Collect', keys=['keypoint', 'label'], meta_keys=[]),
                dict(type='ToTensor', keys=['keypoint']),
            ]
        )

    return {
        name: dict(
            train=steps(name, dict(type='Flip', flip_ratio=0.5, left_kp=left_kp, right_kp=right_kp)),
            val=steps(name, num_clips=1),
            test=steps(name, num_clips=10),
        )
        for name in ('j', 'b', 'k', 'jm', 'bm', 'km')
    }


stream = dict(finegym=pipelines(), k400=pipelines(dict(type='DecompressPose', squeeze=True, max_person=10)))
