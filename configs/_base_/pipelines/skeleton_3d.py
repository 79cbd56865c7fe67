# Pipelines of 3D skeletons for every stream and extra augmentation. A config picks its own with
# `data = {{_base_.stream.<kind>.<stream>.<extra>}}`; naming its stream (`stream = 'b'`) then drops the others.


def pipelines(layout, clip_len, num_person):
    def steps(name, *random, **sampling):
        return dict(
            pipeline=[
                dict(type='PreNormalize3D', align_spine=False),
                *random,
                dict(type='GenSkeFeat', dataset=layout, feats=[name]),
                dict(type='UniformSampleDecode', clip_len=clip_len, **sampling),
                dict(type='FormatGCNInput', num_person=num_person),
                dict(type='Collect', keys=['keypoint', 'label'], meta_keys=[]),
                dict(type='ToTensor', keys=['keypoint']),
            ]
        )

    def phases(name, *extra):
        return dict(
            train=steps(name, dict(type='RandomRot', theta=0.2), *extra),
            val=steps(name, num_clips=1),
            test=steps(name, num_clips=10),
        )

    return {
        name: dict(
            plain=phases(name),
            spatial_flip=phases(name, dict(type='SpatialFlip', dataset=layout, p=0.5)),
            part_drop=phases(name, dict(type='PartDrop', dataset=layout, p=0.2)),
        )
        for name in ('j', 'b', 'k', 'jm', 'bm', 'km')
    }


stream = dict(
    ntu=pipelines('nturgb+d', clip_len=100, num_person=2),
    pku_mmd=pipelines('nturgb+d', clip_len=50, num_person=2),
    nw_ucla=pipelines('kinect20', clip_len=52, num_person=1),
    utd_mhad=pipelines('kinect20', clip_len=50, num_person=1),
    demo=pipelines('nturgb+d', clip_len=24, num_person=1),
)
