_base_ = '../_base_/pku_mmd_xsub.py'
stream = 'j'
data = {{_base_.stream.pku_mmd.j.part_drop}}
work_dir = './work_dirs/pku_mmd_xsub/j'
