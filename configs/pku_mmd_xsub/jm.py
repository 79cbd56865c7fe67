_base_ = '../_base_/pku_mmd_xsub.py'
stream = 'jm'
data = {{_base_.stream.pku_mmd.jm.part_drop}}
work_dir = './work_dirs/pku_mmd_xsub/jm'
