_base_ = '../_base_/utd_mhad.py'
stream = 'k'
data = {{_base_.stream.utd_mhad.k.plain}}
work_dir = './work_dirs/utd_mhad/k'
