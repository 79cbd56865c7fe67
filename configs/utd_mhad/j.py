_base_ = '../_base_/utd_mhad.py'
stream = 'j'
data = {{_base_.stream.utd_mhad.j.plain}}
work_dir = './work_dirs/utd_mhad/j'
